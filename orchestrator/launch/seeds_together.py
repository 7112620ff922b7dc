"""The number of seeds of one recipe that one process trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fsl_core.errors import ExecutionPathError
from orchestrator.launch.execution_options import Device, ExecutionOptions
from orchestrator.launch.forecast import Forecast, makespan
from orchestrator.sweep.plan import Plan

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
    return options.seeds_together or _most_without_delay(_seconds_by_recipe(expected, plan), _gpus(expected))


def _gpus(expected: Forecast) -> int:
    """The GPUs that the slots are on: trials that share one have its time between them."""
    return max(1, round(expected.slots * min(1.0, expected.compute.gpus)))


def _seconds_by_recipe(expected: Forecast, plan: Plan) -> list[list[float]]:
    """The seconds that are left of each trial, together for each recipe; all alike if some are unknown."""
    known, recipes = not expected.unknown, dict[str, list[float]]()
    for trial in plan.trials:
        if trial.fingerprint in expected.left:
            seconds = expected.longest_first[trial.fingerprint] if known else 1.0
            recipes.setdefault(replace(trial.recipe, seed=0).fingerprint, []).append(seconds)
    return list(recipes.values())


def _most_without_delay(recipes: Sequence[Sequence[float]], slots: int) -> int:
    alone = makespan([seconds for each in recipes for seconds in each], slots)
    for most in range(max(map(len, recipes), default=1), 1, -1):
        jobs = [sum(each[start : start + most]) for each in recipes for start in range(0, len(each), most)]
        if makespan(jobs, slots) <= alone * (1 + 1e-9):
            return most
    return 1
