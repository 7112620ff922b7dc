"""Counts of the prepared images of a data set: those of each class, and the grey ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.data_set import PARTS
from fsl_core.datasets.image_bank import ImageBank


@dataclass(frozen=True)
class ImagesInEachClass:
    """The most frequent number of images in a class, and the numbers of the classes that have another."""

    usual: int
    exceptions: Mapping[str, int]


def banks_of(dataset: SplitDataset) -> Mapping[str, ImageBank]:
    """The images of ``meta_train``, ``meta_validation`` and ``meta_test``."""
    return {part: getattr(dataset, part) for part in PARTS}


def images_in_each_class(dataset: SplitDataset) -> ImagesInEachClass:
    """Count the images of every class, without turned copies."""
    banks = banks_of(dataset).values()
    counts = {name: count for bank in banks for name, count in zip(bank.class_names, bank.sizes.tolist(), strict=True)}
    usual = Counter(counts.values()).most_common(1)[0][0]
    return ImagesInEachClass(usual, {name: count for name, count in counts.items() if count != usual})


def grey_images(dataset: SplitDataset) -> int | None:
    """Count the images with R = G = B everywhere; None where images have one channel."""
    if dataset.meta_train.images.shape[1] == 1:
        return None
    return sum(int((images == images[:, :1]).flatten(1).all(1).sum()) for images in _images_by_class(dataset))


def _images_by_class(dataset: SplitDataset) -> Iterator[torch.Tensor]:
    for bank in banks_of(dataset).values():
        for start, size in zip(bank.starts.tolist(), bank.sizes.tolist(), strict=True):
            yield bank.images[start : start + size]
