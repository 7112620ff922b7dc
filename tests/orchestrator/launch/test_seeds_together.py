"""Which trials of a launch share a process."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.errors import ExecutionPathError
from fsl_core.training.execution_path import ExecutionPath
from orchestrator.execution.compute import Compute
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.forecast import Forecast, makespan
from orchestrator.launch.jobs import LaunchOptions, trial_jobs
from orchestrator.launch.seeds_together import check_seeds_together, seeds_together
from orchestrator.launch.span import Span
from orchestrator.sweep.plan import Plan
from tests.orchestrator.small_sweep import places_in, small_plan


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Two recipes with four seeds each."""
    return small_plan(tmp_path_factory.mktemp("sweep"), seeds="0,1,2,3", filters="[8,16]")


@given(together=st.integers(1, 5), order=st.permutations(range(8)))
def test_every_trial_is_in_one_job_with_seeds_of_its_own_recipe(together: int, order: list[int], eight: Plan) -> None:
    trials = [eight.trials[index] for index in order]
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


def expected(plan: Plan, *, device: str = "cuda", slots: int, gpus: float = 1.0, seconds: Sequence[float] = ()) -> Forecast:
    """A forecast of a plan whose trials take so many seconds each; of unknown ones, where none are given."""
    spans = [Span(low=each, likely=each, high=each) for each in seconds] or [None] * len(plan.trials)
    names = [trial.fingerprint for trial in plan.trials]
    return cast(
        Forecast,
        SimpleNamespace(
            left=dict(zip(names, spans, strict=True)),
            longest_first=dict(zip(names, (math.inf if span is None else span.likely for span in spans), strict=True)),
            unknown=sum(span is None for span in spans),
            compute=Compute(device=device, gpus=gpus if device == "cuda" else 0),
            slots=slots,
        ),
    )


@pytest.mark.parametrize(
    ("slots", "gpus", "most"),
    [
        (1, 1.0, 4),  # one process does all
        (4, 0.25, 4),  # four processes share one GPU, and its time
        (2, 1.0, 4),  # one recipe for each GPU
        (4, 1.0, 2),  # two seeds for each
        (8, 1.0, 1),
        (3, 1.0, 3),  # jobs of three, and single trials beside them
        (5, 1.0, 2),
    ],
)
def test_seeds_share_a_process_where_that_cannot_delay_the_sweep(eight: Plan, slots: int, gpus: float, most: int) -> None:
    assert seeds_together(ExecutionOptions(), None, expected(eight, slots=slots, gpus=gpus), eight) == most


@given(slots=st.integers(1, 9), seconds=st.lists(st.floats(1, 100), min_size=8, max_size=8))
def test_no_launch_ends_later_for_its_jobs(slots: int, seconds: list[float], eight: Plan) -> None:
    forecast = expected(eight, slots=slots, seconds=seconds)
    most = seeds_together(ExecutionOptions(), None, forecast, eight)
    options = LaunchOptions(places=places_in(Path("runs")), seeds_together=most)
    jobs = trial_jobs(eight.trials, options, stop_file=Path("stop"), code_digest="")
    took = [sum(forecast.longest_first[trial.fingerprint] for trial in job.trials) for job in jobs]
    assert makespan(took, slots) <= makespan(seconds, slots) * (1 + 1e-6)


def test_a_request_and_a_path_overrule_it_and_a_cpu_has_a_process_for_each_trial(eight: Plan) -> None:
    assert seeds_together(ExecutionOptions(seeds_together=3), None, expected(eight, slots=8), eight) == 3
    assert seeds_together(ExecutionOptions(), ExecutionPath(seeds_together=5), expected(eight, slots=8, device="cpu"), eight) == 5
    assert seeds_together(ExecutionOptions(), None, expected(eight, slots=1, device="cpu"), eight) == 1


def test_what_cannot_train_together_is_refused() -> None:
    with pytest.raises(ExecutionPathError, match="on CUDA only"):
        check_seeds_together(ExecutionOptions(seeds_together=2), None, "cpu")
    with pytest.raises(ExecutionPathError, match="at least 1"):
        ExecutionOptions(seeds_together=0)
    with pytest.raises(ExecutionPathError, match="--path has 3 seeds together, --seeds-together asks for 2"):
        check_seeds_together(ExecutionOptions(seeds_together=2), ExecutionPath(seeds_together=3), "cpu")
    check_seeds_together(ExecutionOptions(seeds_together=1), None, "cpu")
    check_seeds_together(ExecutionOptions(), ExecutionPath(seeds_together=3), "cpu")
