"""Draws what each trial was asked, the first of its frozen meta-test episodes, once the trial is finished."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.listeners import Notice
from fsl_core.recipe.data_settings import DataSettings
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.drawing import draw_if_possible
from orchestrator.sweep.plan import PlannedTrial

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset


@dataclass(frozen=True, kw_only=True)
class EpisodePictures:
    """Draws on the images under ``data_root`` and ``cache_root``. A picture that cannot be drawn fails nothing: ``notice`` says why.

    One value serves one launch: it opens and verifies the images of a data set once, and the next launch may find others.
    """

    data_root: Path | None
    cache_root: Path
    notice: Notice
    _opened: dict[DataSettings, SplitDataset] = field(default_factory=dict, init=False, repr=False, compare=False)

    def draw(self, trial: PlannedTrial, record: TrialRecord, path: Path) -> bool:
        """Draw the first episode of a trial's first evaluation into ``path``; returns whether nothing failed.

        Nothing is drawn where the picture exists, or where the images are no longer those that the trial saw.
        """
        if path.exists() or not trial.evaluations:
            return True

        def draw(path: Path) -> Path | None:
            from orchestrator.report.episode_picture import draw_first_episode  # Matplotlib, only once a trial is finished

            images = self._images(trial.recipe.data)
            if record.result is None or record.result.data_digest != images.digest:
                return None
            return draw_first_episode(trial.recipe, trial.evaluations[0], images, path)

        problems: list[str] = []
        draw_if_possible(draw, path, problems.append)
        for problem in problems:
            self.notice(problem)
        return not problems

    def draw_missing(self, finished: Iterable[tuple[PlannedTrial, TrialRecord, Path]]) -> None:
        """Draw what an earlier launch, which ended first, did not, on images that are prepared already; stop at the first failure."""
        for trial, record, path in finished:
            scored = record.result is not None and record.result.status == "complete"
            if scored and not path.exists() and self._prepared(trial.recipe.data) and not self.draw(trial, record, path):
                return

    def _prepared(self, data: DataSettings) -> bool:
        from fsl_core.datasets.catalogue import prepared_folder

        return prepared_folder(data, self.cache_root).exists()

    def _images(self, data: DataSettings) -> SplitDataset:
        from fsl_core.datasets.catalogue import open_dataset  # torch

        if data not in self._opened:
            self._opened[data] = open_dataset(data, data_root=self.data_root, cache_root=self.cache_root)
        return self._opened[data]
