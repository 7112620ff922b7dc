"""How large each data set is, known without its files and without torch: the shape of its images, and how many each split has."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.datasets.class_counts import class_counts
from fsl_core.recipe.data_settings import DataSettings

IMAGE_SHAPES: Mapping[str, tuple[int, int, int]] = {"omniglot": (1, 28, 28), "mini_imagenet": (3, 84, 84), "glyphs": (1, 28, 28)}
"""Channels, height and width of every image of a data set."""


def distinct_images(data: DataSettings) -> Mapping[str, int]:
    """How many different images ``meta_train``, ``meta_validation`` and ``meta_test`` have, a turned one being another."""
    counts = class_counts(data)
    return {part: classes * counts.images_per_class for part, classes in counts.classes.items()}
