"""The number of seeds of one recipe that one process trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fsl_core.errors import ExecutionPathError
from fsl_core.recipe.seeds import groups_of_seeds
from orchestrator.launch.execution_options import Device, ExecutionOptions
from orchestrator.launch.forecast import Forecast, makespan
from orchestrator.sweep.plan import Plan, PlannedTrial

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath


def check_seeds_together(options: ExecutionOptions, path: ExecutionPath | None, device: Device) -> None:
    """Raises ExecutionPathError if a given path has another number than is asked for, or seeds are to train together on a CPU."""
    asked = options.seeds_together
    if path is not None and asked not in (None, path.seeds_together):
        raise ExecutionPathError(f"--path has {path.seeds_together} seeds together, --seeds-together asks for {asked}")
    if path is None and device == "cpu" and asked not in (None, 1):
        raise ExecutionPathError(f"--seeds-together is {asked}, but seeds train together on CUDA only")


def seeds_together(options: ExecutionOptions, path: ExecutionPath | None, expected: Forecast, plan: Plan) -> int:
    """The most seeds of one recipe that share a process: those of a given path, else as many as are asked for.

    Else, on CUDA, as many as never delay the sweep: on its GPUs it ends as soon even if the seeds of a process train one after another.
    On a CPU each trial has its own process.
    """
    if path is not None:
        return path.seeds_together
    if expected.compute.device != "cuda":
        return 1
    left = [trial for trial in plan.trials if trial.fingerprint in expected.left]
    return options.seeds_together or _most_without_delay(left, expected)


def _gpus(expected: Forecast) -> int:
    """The GPUs that the slots are on: trials that share one have its time between them."""
    return max(1, round(expected.slots * min(1.0, expected.compute.gpus)))


def _most_without_delay(left: Sequence[PlannedTrial], expected: Forecast) -> int:
    """The most seeds in a job with which the jobs end no later than single trials would; all trials are alike if some are unknown."""
    seconds = dict.fromkeys(expected.left, 1.0) if expected.unknown else expected.longest_first

    def end(most: int) -> float:
        jobs = groups_of_seeds(left, lambda trial: trial.recipe.without_seed, most)
        return makespan([sum(seconds[trial.fingerprint] for trial in job) for job in jobs], _gpus(expected))

    latest = end(1) * (1 + 1e-9)
    largest = max((len(each) for each in groups_of_seeds(left, lambda trial: trial.recipe.without_seed)), default=1)
    return next(most for most in range(largest, 0, -1) if end(most) <= latest)
