"""How many classes and images each split of a data set has, known from its lists without any image. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fsl_core.datasets.catalogue import DATASETS
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


def class_counts(data: DataSettings) -> ClassCounts | None:
    """What the splits of a data set hold, rotations counted as classes where they are asked for; None where only the images tell."""
    known = DATASETS[data.dataset].counts(data)
    if known is None:
        return None
    turns = _TURNS if data.rotations else 1
    return ClassCounts(known.classes, {part: turns * count for part, count in known.classes.items()}, known.images_per_class)
