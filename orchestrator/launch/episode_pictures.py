"""Draws what each trial was asked, the first of its frozen meta-test episodes, once the trial is finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.report.drawing import draw_if_possible
from orchestrator.sweep.plan import PlannedTrial

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset


@dataclass(frozen=True, kw_only=True)
class EpisodePictures:
    """Draws on the images under ``data_root`` and ``cache_root``. A picture that cannot be drawn fails nothing: ``notice`` says why."""

    data_root: Path | None
    cache_root: Path
    notice: Callable[[str], None]

    def draw(self, trial: PlannedTrial, path: Path) -> None:
        """Draw the first episode of a trial's first evaluation into ``path``, unless the picture exists."""
        if path.exists() or not trial.evaluations:
            return

        def draw(path: Path) -> Path:
            from orchestrator.report.episode_picture import draw_first_episode  # Matplotlib, only once a trial is finished

            images = _images(trial.recipe.data, self.data_root, self.cache_root)
            return draw_first_episode(trial.recipe, trial.evaluations[0], images, path)

        draw_if_possible(draw, path, self.notice)


@lru_cache(maxsize=4)
def _images(data: DataSettings, data_root: Path | None, cache_root: Path) -> SplitDataset:
    """The images of a data set, opened and verified once for all of a launch's trials."""
    from fsl_core.datasets.catalogue import open_dataset  # torch

    return open_dataset(data, data_root=data_root, cache_root=cache_root)
