"""Finds duplicate images within and across splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.datasets.image_counts import banks_of


@dataclass(frozen=True)
class SharedImage:
    """The locations of two identical images, each as ``split: class #number``."""

    first: str
    second: str


@dataclass(frozen=True)
class IdenticalImages:
    """Pairs of byte-identical images, across splits and within one split."""

    across: tuple[SharedImage, ...]
    within: tuple[SharedImage, ...]


def identical_images(dataset: SplitDataset) -> IdenticalImages:
    """Pair each duplicate with its first occurrence in every split; images are compared unrotated."""
    seen: dict[bytes, dict[str, str]] = {}
    across: list[SharedImage] = []
    within: list[SharedImage] = []
    for split, bank in banks_of(dataset).items():
        for place, digest in _images(bank):
            firsts = seen.setdefault(digest, {})
            for first_split, first_place in firsts.items():
                pair = SharedImage(f"{first_split}: {first_place}", f"{split}: {place}")
                (within if first_split == split else across).append(pair)
            firsts.setdefault(split, place)
    return IdenticalImages(tuple(across), tuple(within))


def _images(bank: ImageBank) -> Iterator[tuple[str, bytes]]:
    for name, start, size in zip(bank.class_names, bank.starts.tolist(), bank.sizes.tolist(), strict=True):
        for number in range(size):
            yield f"{name} #{number}", hashlib.sha256(bank.images[start + number].numpy().tobytes()).digest()
