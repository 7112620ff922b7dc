"""How to run a trial, and a trial whose execution path is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.listeners import Notice
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """How to run a trial: in which folder, on which images and device, along which execution path, and who hears of it.

    ``folder`` is the trial's own and is created if absent; ``dataset`` holds the images, as
    :func:`fsl_core.datasets.catalogue.open_dataset` gives them. ``device`` is ``cpu`` or ``cuda``, ``threads`` the CPU threads inside one
    operation. ``path`` is an execution path that is used without measurement; ``choices`` is the folder of the paths chosen so far,
    which trials share; None keeps none.

    ``observe`` is called at every point of the curves. ``should_stop`` is asked between steps: once it is true, a checkpoint is written
    and StopRequested raised. ``notice`` receives a sentence that is worth a log line, such as a resume or a damaged checkpoint that was
    set aside; ``on_path``, before the first step, the execution path. ``on_share`` receives the part of the process's time that is this
    trial's from now on, where trials train together: a half beside another, 0 once its own training has stopped.
    """

    folder: Path
    dataset: SplitDataset
    device: str = "cpu"
    threads: int = 1
    path: ExecutionPath | None = None
    choices: Path | None = None
    observe: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False
    notice: Notice = lambda message: None
    on_path: Callable[[ExecutionPath], None] = lambda path: None
    on_share: Callable[[float], None] = lambda share: None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A recipe, and how to run it."""

    recipe: TrainingRecipe
    run: TrialRun


@dataclass(frozen=True, kw_only=True)
class BegunTrial(Trial):
    """A trial with the execution path that an earlier attempt gave it; None if it has not begun."""

    path: ExecutionPath | None


@dataclass(frozen=True, kw_only=True)
class PinnedTrial(Trial):
    """A trial whose execution path is in its folder."""

    path: ExecutionPath
