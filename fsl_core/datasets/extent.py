"""How large each data set is, known without its files and without torch: the shape of its images, and how many each split has."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources

from fsl_core.recipe import DataSettings

IMAGE_SHAPES: Mapping[str, tuple[int, int, int]] = {"omniglot": (1, 28, 28), "mini_imagenet": (3, 84, 84), "glyphs": (1, 28, 28)}
"""Channels, height and width of every image of a data set."""
IMAGES_PER_CLASS: Mapping[str, int] = {"omniglot": 20, "mini_imagenet": 600, "glyphs": 20}
"""How many images each class of a data set has, before rotations."""

_ROTATIONS = 4
_GLYPHS = {"meta_train": 100, "meta_validation": 40, "meta_test": 60}
_PARTS = {"meta_train": "train", "meta_validation": "val", "meta_test": "test"}


@functools.cache
def distinct_images(data: DataSettings) -> Mapping[str, int]:
    """How many different images ``meta_train``, ``meta_validation`` and ``meta_test`` have, a turned one being another."""
    each = IMAGES_PER_CLASS[data.dataset] * (_ROTATIONS if data.rotations else 1)
    return {part: classes * each for part, classes in _classes(data).items()}


def _classes(data: DataSettings) -> Mapping[str, int]:
    if data.dataset == "glyphs":
        return _GLYPHS
    lists = {part: _names(f"{data.dataset}_{_lists_of(data)}_{name}") for part, name in _PARTS.items()}
    if data.split != "background-evaluation":
        return {part: len(names) for part, names in lists.items()}
    alphabets = [name.split("/")[0] for names in lists.values() for name in names]  # of every character there is
    tests, held_out = (set(_names(f"omniglot_{name}_alphabets")) for name in ("evaluation", "background_validation"))
    counts = {"meta_validation": sum(map(held_out.__contains__, alphabets)), "meta_test": sum(map(tests.__contains__, alphabets))}
    return {"meta_train": len(alphabets) - sum(counts.values()), **counts}


def _lists_of(data: DataSettings) -> str:
    return "ravi" if data.dataset == "mini_imagenet" else "vinyals"


def _names(name: str) -> list[str]:
    return (resources.files("fsl_core.datasets") / "splits" / f"{name}.txt").read_text(encoding="utf-8").split()
