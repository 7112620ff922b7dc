"""Verifies trials that were finished on another machine before they are imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.episodes.episode_classes import EpisodeClasses
from fsl_core.errors import DataChangedError, RecipeError, RecordDamagedError
from fsl_core.listeners import Notice
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.edition import edition_name
from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.checkpoint import load_weights
from fsl_core.training.meta_test_episodes import meta_test_episodes
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_folder import TrialFolder
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.trial_edition import edition_in


def dataset_opener(*, data_root: Path | None, cache_root: Path, notice: Notice) -> Callable[[DataSettings], SplitDataset]:
    """A function that opens the images of this machine, each data set once."""
    return cache(lambda data: open_dataset(data, data_root=data_root, cache_root=cache_root, notice=notice))


@dataclass(frozen=True, kw_only=True)
class FinishedTrial:
    """A verified trial that another machine trained and scored."""

    paths: TrialPaths
    result: TrialResult
    scores: tuple[EvaluationResult, ...]
    execution: ExecutionRecord


@dataclass(frozen=True)
class TrialCheck:
    """Verifies the folders of finished trials against the images of this machine, which ``dataset_of`` opens."""

    dataset_of: Callable[[DataSettings], SplitDataset]
    _asked: dict[tuple[DataSettings, Evaluation], tuple[str, EpisodeClasses]] = field(default_factory=dict)

    def finished(self, folder: Path) -> FinishedTrial | None:
        """The trial in a folder; None where it is not finished.

        Verifies the seal, types and ranges of every record; that all are of the folder's recipe and of the current edition; the digest of
        the weights; and, against this machine, the digest of the images and the digest and classes of every evaluation's episodes.

        Raises:
            FslError: a check failed; the message names it.
            OSError: the folder cannot be read.
        """
        trial = TrialFolder.at(folder)
        edition = edition_in(trial.paths.recipe, trial.paths.result, trial.fingerprint)
        if edition not in (None, SCHEMA_VERSION):
            raise RecipeError(f"it is of the {edition_name(edition)} of the recipes; {edition_name(SCHEMA_VERSION)} is in force")
        request, result = trial.request(), trial.result()
        if result is None:
            return None
        execution = trial.record(ExecutionRecord)
        if execution is None or execution.steps != result.steps_done:
            raise RecordDamagedError(
                f"{trial.paths.execution} does not say who trained the {result.steps_done} steps of the result"
            )
        dataset = self.dataset_of(result.recipe.data)
        if result.data_digest != dataset.digest:
            seen, here = result.data_digest[:16], dataset.digest[:16]
            raise DataChangedError(f"the trial saw {dataset.name} images with digest {seen}; those of this machine have {here}")
        scores = self._scores(trial, result, dataset)
        wanted = set() if request is None or result.status == "diverged" else set(request.evaluations)
        if not wanted <= {score.evaluation for score in scores}:
            return None
        return FinishedTrial(paths=trial.paths, result=result, scores=scores, execution=execution)

    def _scores(self, trial: TrialFolder, result: TrialResult, dataset: SplitDataset) -> tuple[EvaluationResult, ...]:
        scores = tuple(trial.scores(result).values())
        if result.weights_digest is None:
            return ()
        load_weights(trial.paths.selected, digest=result.weights_digest)
        for score in scores:
            score.evaluation.check_suits(result.recipe)
            if (score.episodes_digest, score.classes) != self._episodes(result.recipe, score.evaluation, dataset):
                raise RecordDamagedError(
                    f"the score {score.evaluation.fingerprint} is of other episodes than the evaluation asks for"
                )
        return scores

    def _episodes(self, recipe: TrainingRecipe, evaluation: Evaluation, dataset: SplitDataset) -> tuple[str, EpisodeClasses]:
        """The digest and the classes of an evaluation's episodes, computed once for all trials."""
        key = (recipe.data, evaluation)
        if key not in self._asked:
            episodes, bank = meta_test_episodes(recipe, evaluation, dataset), dataset.meta_test
            self._asked[key] = episodes.digest(), EpisodeClasses.of(episodes.classes.numpy(), bank.class_names, bank.turns)
        return self._asked[key]
