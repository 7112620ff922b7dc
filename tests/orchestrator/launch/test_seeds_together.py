"""Which trials of a launch share a process."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.errors import ExecutionPathError
from fsl_core.training.execution_path import ExecutionPath
from orchestrator.execution.compute import Compute
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.jobs import LaunchOptions, trial_jobs
from orchestrator.launch.seeds_together import check_seeds_together, seeds_together
from orchestrator.sweep.plan import PlannedTrial
from tests.orchestrator.small_sweep import places_in, small_plan


@dataclasses.dataclass(frozen=True)
class _Expected:
    """The parts of a forecast that decide."""

    compute: Compute
    left: range
    slots: int


@pytest.fixture(scope="module")
def eight_trials(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlannedTrial, ...]:
    """Two recipes with four seeds each."""
    return small_plan(tmp_path_factory.mktemp("sweep"), seeds="0,1,2,3", filters="[8,16]").trials


@given(together=st.integers(1, 5), order=st.permutations(range(8)))
def test_every_trial_is_in_one_job_with_seeds_of_its_own_recipe(
    together: int, order: list[int], eight_trials: tuple[PlannedTrial, ...]
) -> None:
    trials = [eight_trials[index] for index in order]
    options = LaunchOptions(places=places_in(Path("runs")), seeds_together=together)
    jobs = trial_jobs(trials, options, stop_file=Path("stop"), code_digest="")
    assert sorted(trial.fingerprint for job in jobs for trial in job.trials) == sorted(trial.fingerprint for trial in trials)
    for job in jobs:
        assert len({dataclasses.replace(trial.recipe, seed=0) for trial in job.trials}) == 1
        assert len(job.trials) <= together
    assert len(jobs) == 2 * -(-4 // together)


def test_the_rest_of_a_job_is_without_the_trials_that_ended(tmp_path: Path) -> None:
    options = LaunchOptions(places=places_in(tmp_path), seeds_together=3)
    plan = small_plan(tmp_path, seeds="0,1,2", way="5")
    [job] = trial_jobs(plan.trials, options, stop_file=tmp_path / "stop", code_digest="")
    first, second, third = job.trials
    rest = job.without({first.fingerprint})
    assert rest is not None
    assert rest.trials == (second, third)
    assert job.memory_together == sum(trial.memory for trial in job.trials) > job.memory
    assert job.without({trial.fingerprint for trial in job.trials}) is None


@pytest.mark.parametrize(
    ("device", "trials", "slots", "asked", "path", "expected"),
    [
        ("cpu", 9, 2, None, None, 1),
        ("cpu", 9, 2, None, ExecutionPath(seeds_together=3), 3),
        ("cuda", 9, 4, None, None, 2),
        ("cuda", 9, 1, None, None, 9),
        ("cuda", 3, 4, None, None, 1),
        ("cuda", 9, 1, 2, None, 2),
    ],
)
def test_seeds_share_a_process_where_no_slot_is_left_idle(
    device: str, trials: int, slots: int, asked: int | None, path: ExecutionPath | None, expected: int
) -> None:
    forecast = _Expected(Compute(device=device, gpus=0.25 if device == "cuda" else 0), range(trials), slots)
    assert seeds_together(ExecutionOptions(seeds_together=asked), path, forecast) == expected  # type: ignore[arg-type]


def test_what_cannot_train_together_is_refused() -> None:
    with pytest.raises(ExecutionPathError, match="on CUDA only"):
        check_seeds_together(ExecutionOptions(seeds_together=2), None, "cpu")
    with pytest.raises(ExecutionPathError, match="--path has 3 seeds together, --seeds-together asks for 2"):
        check_seeds_together(ExecutionOptions(seeds_together=2), ExecutionPath(seeds_together=3), "cpu")
    check_seeds_together(ExecutionOptions(seeds_together=1), None, "cpu")
    check_seeds_together(ExecutionOptions(), ExecutionPath(seeds_together=3), "cpu")
