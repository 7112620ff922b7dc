"""Images that stand in two class splits: what a score on unseen classes must not contain unnoticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank

SPLITS = ("meta_train", "meta_validation", "meta_test")


@dataclass(frozen=True)
class SharedImage:
    """One picture found in two splits: where it stands in each, as ``split: class #number``."""

    first: str
    second: str


def images_in_two_splits(dataset: SplitDataset) -> tuple[SharedImage, ...]:
    """Every pair of byte-identical images of which the two lie in different splits; each image is compared once, unturned."""
    seen: dict[bytes, tuple[str, str]] = {}
    shared = []
    for split in SPLITS:
        for place, digest in _images(getattr(dataset, split)):
            first_split, first_place = seen.setdefault(digest, (split, place))
            if first_split != split:
                shared.append(SharedImage(f"{first_split}: {first_place}", f"{split}: {place}"))
    return tuple(shared)


def _images(bank: ImageBank) -> Iterator[tuple[str, bytes]]:
    for name, start, size in zip(bank.class_names, bank.starts.tolist(), bank.sizes.tolist(), strict=True):
        for number in range(size):
            yield f"{name} #{number}", hashlib.sha256(bank.images[start + number].numpy().tobytes()).digest()
