"""The number of classes and images in each split, from the class lists alone. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fsl_core.datasets.catalogue import DATASETS
from fsl_core.recipe.data_settings import DataSettings

_TURNS = 4  # a class and its three turned copies, where rotations count as classes


@dataclass(frozen=True)
class ClassCounts:
    """Number of classes in ``meta_train``, ``meta_validation`` and ``meta_test``, and of images per class.

    ``characters`` counts unrotated classes; ``classes`` also counts their rotations, where these are classes of their own.
    """

    characters: Mapping[str, int]
    classes: Mapping[str, int]
    images_per_class: int


def class_counts(data: DataSettings) -> ClassCounts | None:
    """Count the classes and images of each split, rotations included where requested; None if only the images tell."""
    known = DATASETS[data.dataset].counts(data)
    if known is None:
        return None
    turns = _TURNS if data.rotations else 1
    return ClassCounts(known.classes, {part: turns * count for part, count in known.classes.items()}, known.images_per_class)
