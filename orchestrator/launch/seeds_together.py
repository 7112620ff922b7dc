"""The number of seeds of one recipe that one process trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsl_core.errors import ExecutionPathError
from orchestrator.launch.execution_options import Device, ExecutionOptions
from orchestrator.launch.forecast import Forecast

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath


def check_seeds_together(options: ExecutionOptions, path: ExecutionPath | None, device: Device) -> None:
    """Raises ExecutionPathError if a given path has another number than is asked for, or seeds are to train together on a CPU."""
    asked = options.seeds_together
    if path is not None and asked not in (None, path.seeds_together):
        raise ExecutionPathError(f"--path has {path.seeds_together} seeds together, --seeds-together asks for {asked}")
    if path is None and device == "cpu" and asked not in (None, 1):
        raise ExecutionPathError(f"--seeds-together is {asked}, but seeds train together on CUDA only")


def seeds_together(options: ExecutionOptions, path: ExecutionPath | None, expected: Forecast) -> int:
    """The most seeds of one recipe that share a process: those of a given path, else as many as are asked for.

    Else, on CUDA, as many as leave no slot idle; on a CPU each trial has its own process.
    """
    if path is not None:
        return path.seeds_together
    if expected.compute.device != "cuda":
        return 1
    return options.seeds_together or max(1, len(expected.left) // max(1, expected.slots))
