"""Checks by the class lists that a data set has the classes and images that a recipe and its evaluation need.

:mod:`fsl_core.episodes.feasibility` checks the images themselves. Imports no torch.
"""

from __future__ import annotations

from fsl_core.datasets.class_counts import ClassCounts, class_counts
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import SettingError
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe


def check_supply(recipe: TrainingRecipe, evaluation: Evaluation) -> None:
    """Raises SettingError if any episode needs more classes or images than its split has.

    The error names fields of the evaluation as ``evaluation.…``, and fields of the recipe by their own paths.
    """
    counts = class_counts(recipe.data)
    if counts is None:
        return
    _check("evaluation.shape", evaluation.shape, "meta_test", recipe.data, counts)
    _check("episode", recipe.episode, "meta_train", recipe.data, counts)
    _check("validation.shape", recipe.validation.shape, "meta_validation", recipe.data, counts)


def _check(field: str, shape: EpisodeShape, part: str, data: DataSettings, counts: ClassCounts) -> None:
    beside: tuple[str, ...] = ("data.dataset", "data.split", "data.rotations")
    if data.distinct_characters:
        supply, what, turned, beside = counts.characters[part], "distinct characters", "", (*beside, "data.distinct_characters")
    else:
        supply, what, turned = counts.classes[part], "classes", ", with rotations" if data.rotations else ""
    if shape.way > supply:
        problem = f"{part} of {data.dataset} has {supply} {what} (split {data.split}{turned})"
        raise SettingError(f"{field}.way", shape.way, problem, beside)
    if shape.images_per_class > counts.images_per_class:
        problem = (
            f"with {shape.shot} support images that is {shape.images_per_class} images a class, "
            f"but {data.dataset} has {counts.images_per_class}; {_room(shape.shot, counts.images_per_class)}"
        )
        raise SettingError(f"{field}.query", shape.query, problem, (f"{field}.shot", "data.dataset"))


def _room(shot: int, images: int) -> str:
    """The most queries beside so many support images, or the most support images beside one query."""
    return (
        f"at most {images - shot} would fit" if shot < images else f"with a query of 1, a shot of at most {images - 1} would fit"
    )
