"""How many classes and images each split of a data set has, known from its lists without any image. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fsl_core.datasets import glyphs, mini_imagenet, omniglot_split
from fsl_core.recipe.data_settings import DataSettings

_TURNS = 4  # a class and its three turned copies, where rotations count as classes


@dataclass(frozen=True)
class ClassCounts:
    """The classes of ``meta_train``, ``meta_validation`` and ``meta_test``, and the images that each class has.

    ``characters`` are the classes as they are drawn; each and its turns are ``classes``, where rotations count.
    """

    characters: Mapping[str, int]
    classes: Mapping[str, int]
    images_per_class: int


def class_counts(data: DataSettings) -> ClassCounts:
    """What the splits of a data set hold; rotations count as classes where they are asked for."""
    classes, images = _known(data.dataset, data.split)
    turns = _TURNS if data.rotations else 1
    return ClassCounts(classes, {part: turns * count for part, count in classes.items()}, images)


def base_classes(data: DataSettings) -> Mapping[str, int]:
    """How many classes each split has, turned copies not counted."""
    return _known(data.dataset, data.split)[0]


@cache
def _known(dataset: str, split: str) -> tuple[Mapping[str, int], int]:
    if dataset == "omniglot":
        parts = omniglot_split.split_classes(split, omniglot_split.class_names(), omniglot_split.evaluation_alphabets())
        return _lengths(parts), omniglot_split.DRAWERS
    if dataset == "mini_imagenet":
        return _lengths(mini_imagenet.split_classes()), mini_imagenet.published().images_per_class
    if dataset == "glyphs":
        return _lengths(glyphs.split_classes(glyphs.class_names())), glyphs.DRAWERS
    raise KeyError(dataset)


def _lengths(parts: Mapping[str, list[str]]) -> Mapping[str, int]:
    return {part: len(names) for part, names in parts.items()}
