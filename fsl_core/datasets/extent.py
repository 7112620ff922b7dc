"""The size of a data set, without its files or torch: the shape of its images, and their number in each split."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.datasets.catalogue import DATASETS
from fsl_core.datasets.class_counts import class_counts
from fsl_core.recipe.data_settings import DataSettings


def image_shape(data: DataSettings) -> tuple[int, int, int]:
    """Channels, height and width of every image of a data set."""
    return DATASETS[data.dataset].image_shape(data)


def distinct_images(data: DataSettings) -> Mapping[str, int] | None:
    """The number of images in ``meta_train``, ``meta_validation`` and ``meta_test``, each rotation counted as another image.

    None if only the images themselves tell.
    """
    counts = class_counts(data)
    if counts is None:
        return None
    return {part: classes * counts.images_per_class for part, classes in counts.classes.items()}
