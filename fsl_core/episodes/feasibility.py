"""Checks before any computation that the images suffice for a recipe and its evaluations."""

from __future__ import annotations

from collections.abc import Sequence

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.errors import EpisodeError
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe


def check_feasible(recipe: TrainingRecipe, evaluations: Sequence[Evaluation], dataset: SplitDataset) -> None:
    """Raises EpisodeError, naming the split and the shape, if any episode needs more classes or images than there are."""
    wanted = [
        ("meta-train", dataset.meta_train, recipe.episode),
        ("meta-validation", dataset.meta_validation, recipe.validation.shape),
        *(("meta-test", dataset.meta_test, evaluation.shape) for evaluation in evaluations),
    ]
    for split, bank, shape in wanted:
        try:
            bank.pool(distinct_characters=recipe.data.distinct_characters).check_enough(shape)
        except EpisodeError as error:
            raise EpisodeError(f"{dataset.name} has no {split} episode of {shape}: {error}") from error
