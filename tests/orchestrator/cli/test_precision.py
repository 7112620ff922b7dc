"""``matmul_precision`` from the command line: refused on a CPU before anything starts, and planned for elsewhere."""

from pathlib import Path

import pytest

from fsl_core.errors import ExecutionPathError
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.launch.precisions import reject_missing_precision
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.orchestrator.cli.test_commands import Workplace, clean_environment
from tests.orchestrator.report.reported_sweep import finished

__all__ = ["clean_environment"]
TF32 = ("--set", "matmul_precision=tf32")


def test_a_launch_on_a_cpu_is_refused_by_name_before_anything_starts(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    result = workplace.run(*TF32, "--device", "cpu")
    assert result.exit_code == ExitCode.USAGE, result.output
    assert "matmul_precision is 'tf32' in 2 of 2 trials, and device is 'cpu', which does not have it" in result.stderr
    assert not list(workplace.runs.glob("trials/*")) and not (workplace.runs / "data").exists()


def test_a_plan_for_a_gpu_can_be_looked_at_on_a_cpu(tmp_path: Path) -> None:
    result = Workplace(tmp_path).read("plan", *TF32, "--device", "cpu", "--no-probe", "--settings")
    assert result.exit_code == 0, result.output
    assert "matmul_precision" in result.stdout and "tf32" in result.stdout


def test_what_is_trained_already_is_scored_anywhere(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    plan = build_plan(load_sweep(workplace.sweep, set_values=[TF32[1]]))
    reject_missing_precision(plan, {trial.fingerprint: finished(trial.recipe, []) for trial in plan.trials}, "cpu")
    untrained = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials}
    reject_missing_precision(plan, untrained, "cuda")
    with pytest.raises(ExecutionPathError, match="does not have it"):
        reject_missing_precision(plan, untrained, "cpu")
