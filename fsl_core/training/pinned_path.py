"""The execution path of one trial: pinned in its folder before the first step, and used from then on."""

from __future__ import annotations

from pathlib import Path

from fsl_core.errors import ExecutionPathError
from fsl_core.listeners import Notice
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, read_path, write_path


def begun_path(folder: Path, *, of_checkpoint: ExecutionPath | None, notice: Notice) -> ExecutionPath | None:
    """The path of the trial in ``folder``: from its ``path.json``, else from its checkpoint; None for a trial that has neither.

    Raises:
        ExecutionPathError: ``path.json`` and the checkpoint differ, or a later version wrote them.
    """
    file = folder / PATH_FILE
    pinned = read_path(file)
    if pinned is not None:
        if of_checkpoint is not None:
            check_of_this_path(of_checkpoint, pinned, file)
        return pinned
    if file.exists():
        source = "the checkpoint's path" if of_checkpoint is not None else "another path"
        notice(f"{PATH_FILE} is not a readable execution path; {source} replaces it")
    return of_checkpoint


def check_of_this_path(of_checkpoint: ExecutionPath, pinned: ExecutionPath, file: Path) -> None:
    """Raises ExecutionPathError if a checkpoint has another path than the trial's ``path.json``."""
    if pinned != of_checkpoint:
        raise ExecutionPathError(
            f"{file} has {pinned}, but the trial's checkpoint has {of_checkpoint}: one of the two is of other work. "
            f"Remove {PATH_FILE} to resume on the checkpoint's path"
        )


def pin_path(folder: Path, path: ExecutionPath, precision: MatmulPrecision) -> None:
    """Write the path of the trial in ``folder`` unless it is there already.

    Raises:
        ExecutionPathError: this machine lacks the path, or the precision on it.
    """
    if read_path(folder / PATH_FILE) != path:
        path.check_available(precision)
        write_path(folder, path)
