"""The execution path of one trial: pinned in its folder before the first step, and used from then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fsl_core.errors import ExecutionPathError
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, read_path, write_path


def pinned_path(
    recipe: TrainingRecipe,
    folder: Path,
    *,
    of_checkpoint: ExecutionPath | None,
    otherwise: Callable[[], ExecutionPath],
    announce: Callable[[str], None],
) -> ExecutionPath:
    """The path of the trial in ``folder``: from its ``path.json``, else from its checkpoint, else from ``otherwise``.

    Raises:
        ExecutionPathError: ``path.json`` and the checkpoint differ, a later version wrote them, or this machine lacks the path.
    """
    file = folder / PATH_FILE
    pinned = read_path(file)
    if pinned is not None:
        if of_checkpoint is not None and pinned != of_checkpoint:
            raise ExecutionPathError(
                f"{file} has {pinned}, but the trial's checkpoint has {of_checkpoint}: one of the two is of other work. "
                f"Remove {PATH_FILE} to resume on the checkpoint's path"
            )
        return pinned
    if file.exists():
        source = "the checkpoint's path" if of_checkpoint is not None else "another path"
        announce(f"{PATH_FILE} is not a readable execution path; {source} replaces it")
    path = of_checkpoint or otherwise()
    path.check_available(recipe.matmul_precision)
    write_path(folder, path)
    return path
