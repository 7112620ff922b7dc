"""The state of a trial has one definition, which every view uses."""

import dataclasses
from pathlib import Path

import filelock
import pandas as pd
import pytest

from fsl_core.training.trial_records import FailureRecord, ProgressRecord
from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.launch.sweep_status import trial_statuses
from orchestrator.launch.workspace import Workspace
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState, trial_state
from orchestrator.report.export import frames
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.run_view import run_view
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, execution_of, result_of, tracked_sweep

NOW = "2026-01-01T00:00:00.000+00:00"


def progress(attempts: int) -> ProgressRecord:
    return ProgressRecord(step=5, steps=300, best=0.5, train_seconds=1.0, attempts=attempts, started_at=NOW, at=NOW)


def failure(attempts: int) -> FailureRecord:
    return FailureRecord(cause="ValueError: no", traceback="…", attempts=attempts, at=NOW)


@pytest.fixture
def sweep(tmp_path: Path) -> TrackedSweep:
    return tracked_sweep(tmp_path)


def diverged(trial: PlannedTrial) -> TrialRecord:
    result = dataclasses.replace(
        result_of(trial),
        status="diverged",
        stopped_by="divergence",
        selected_step=None,
        validation_loss=None,
        validation_accuracy=None,
        weights_digest=None,
    )
    return TrialRecord(fingerprint=trial.fingerprint, result=result, execution=execution_of())


@pytest.mark.parametrize(
    ("parts", "free", "held"),
    [
        ({}, "waiting", "running"),
        ({"progress": progress(1)}, "stopped", "running"),
        ({"failure": failure(1)}, "failed", "running"),
        ({"progress": progress(1), "failure": failure(1)}, "failed", "running"),
        ({"progress": progress(2), "failure": failure(1)}, "stopped", "running"),  # the attempt after the failure was killed
        ({"result": "trained"}, "stopped", "scoring"),
        ({"result": "trained", "failure": failure(1)}, "failed", "scoring"),
        ({"result": "trained", "scored": True}, "done", "done"),
        ({"result": "trained", "scored": True, "failure": failure(1)}, "done", "done"),
        ({"result": "diverged"}, "diverged", "diverged"),
    ],
)
def test_the_state_depends_on_the_record_and_the_lock_alone(
    sweep: TrackedSweep, parts: dict[str, object], free: TrialState, held: TrialState
):
    trial = sweep.trials[0]
    whole = sweep.record(trial) if parts.get("result") != "diverged" else diverged(trial)
    record = TrialRecord(
        fingerprint=trial.fingerprint,
        result=whole.result if "result" in parts else None,
        evaluations=whole.evaluations if "scored" in parts else {},
        progress=parts.get("progress"),  # type: ignore[arg-type]
        failure=parts.get("failure"),  # type: ignore[arg-type]
    )
    assert trial_state(trial, record, held=False) == free
    assert trial_state(trial, record, held=True) == held


def test_status_export_and_mlflow_agree_about_every_trial(sweep: TrackedSweep, tmp_path: Path):
    store: Store = sweep.store
    done, failed, stopped, scoring = (trial.fingerprint for trial in sweep.trials)
    for name in (failed, stopped):
        store.paths(name).result.unlink()
        store.write_record(name, progress(1))
    store.write_failure(failed, failure(1))
    next(store.paths(scoring).evaluations.iterdir()).unlink()
    places = Places.resolve(PlaceOptions(runs_root=store.runs_root))
    expected = {done: "done", failed: "failed", stopped: "stopped", scoring: "scoring"}
    with filelock.FileLock(store.paths(scoring).lock):
        workspace = Workspace(sweep.plan, places, Store(store.runs_root))
        assert {row.trial.fingerprint: row.state for row in trial_statuses(workspace)} == expected
    trials: pd.DataFrame = frames(sweep.plan, workspace.records, (), held={scoring})["trials"]
    assert dict(zip(trials["trial_id"], trials["status"], strict=True)) == {
        f"t-{name}": state for name, state in expected.items()
    }
    views = {trial.fingerprint: run_view(trial, sweep.record(trial), store.paths(trial.fingerprint)) for trial in sweep.trials}
    assert {name: view.tags["fsl.state"] for name, view in views.items()} == expected | {scoring: "stopped"}
    assert {name: view.status for name, view in views.items()} == {
        done: "FINISHED", failed: "FAILED", stopped: "KILLED", scoring: "KILLED",
    }  # fmt: skip
