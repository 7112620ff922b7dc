"""A sweep's metrics count a trial as failed where ``fsl status`` does."""

from dataclasses import replace
from pathlib import Path

from fsl_core.training.trial_records import FailureRecord
from orchestrator.tracking.summary import summary_metrics
from tests.orchestrator.tracking.tracked_sweep import tracked_sweep


def test_a_trial_whose_last_attempt_failed_counts_as_failed(tmp_path: Path):
    sweep = tracked_sweep(tmp_path)
    whole, unscored, another, resumed = (sweep.record(trial) for trial in sweep.trials)
    failure = FailureRecord(cause="it broke", traceback="", attempts=1, at="2024-05-01T10:00:00+00:00")
    assert resumed.execution is not None
    records = [
        whole,
        replace(unscored, evaluations={}, failure=failure),
        replace(another, evaluations={}, failure=failure),
        replace(resumed, result=None, evaluations={}, failure=failure, execution=replace(resumed.execution, attempts=2)),
    ]
    summary = summary_metrics(sweep.plan, {record.fingerprint: record for record in records})
    assert (summary["sweep/trials"], summary["sweep/trials_trained"], summary["sweep/trials_failed"]) == (4, 3, 2)
