"""The split of Omniglot's characters, from the lists in ``splits``. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

DRAWERS = 20
"""Images of every character."""
_LISTS = {"meta_train": "train", "meta_validation": "val", "meta_test": "test"}


def class_names() -> list[str]:
    """All 1,623 characters, sorted: the lists of Vinyals et al. have each exactly once."""
    return sorted(name for part in _LISTS.values() for name in _list(f"omniglot_vinyals_{part}.txt"))


def split_classes(split: str, class_names: Sequence[str], evaluation_alphabets: set[str]) -> dict[str, list[str]]:
    """The class names of ``meta_train``, ``meta_validation`` and ``meta_test``, in the order of the lists.

    ``vinyals``: the 1028, 172 and 423 characters of Vinyals et al. as released with Prototypical Networks.
    ``background-evaluation``: the 30 background alphabets less five whole ones for validation; the 20 evaluation alphabets.
    """
    if split == "vinyals":
        return {part: _list(f"omniglot_vinyals_{name}.txt") for part, name in _LISTS.items()}
    held_out = set(_list("omniglot_background_validation_alphabets.txt"))
    classes: dict[str, list[str]] = {"meta_train": [], "meta_validation": [], "meta_test": []}
    for name in class_names:
        alphabet = name.split("/")[0]
        part = "meta_test" if alphabet in evaluation_alphabets else "meta_validation" if alphabet in held_out else "meta_train"
        classes[part].append(name)
    return classes


def evaluation_alphabets() -> set[str]:
    """The 20 alphabets of ``images_evaluation``."""
    return set(_list("omniglot_evaluation_alphabets.txt"))


def _list(name: str) -> list[str]:
    return (resources.files("fsl_core.datasets") / "splits" / name).read_text("utf-8").split()
