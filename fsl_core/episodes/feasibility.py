"""Checks before any computation that the images suffice for a recipe and its evaluations."""

from __future__ import annotations

from collections.abc import Sequence

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeShape
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
        pool = bank.pool(distinct_characters=recipe.data.distinct_characters)
        try:
            pool.check_enough(shape)
        except EpisodeError as error:
            smallest = _smallest(bank, shape) if pool.characters >= shape.way else ""
            raise EpisodeError(f"{dataset.name} has no {split} episode of {shape}: {error}{smallest}") from error


def _smallest(bank: ImageBank, shape: EpisodeShape) -> str:
    """The name of the smallest class, in parentheses, and the number of classes that are too small."""
    sizes = dict(zip(bank.class_names, bank.sizes.tolist(), strict=True))
    short = [name for name, size in sizes.items() if size < shape.images_per_class]
    others = f", one of {len(short)} that are too small" if len(short) > 1 else ""
    return f" ({min(short, key=sizes.__getitem__)}{others})"
