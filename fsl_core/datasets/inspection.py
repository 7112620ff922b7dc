"""What a look at the source of a data set finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Told how many images are done, and of how many."""


@dataclass(frozen=True)
class Inspection:
    """What a source holds. ``sizes`` counts the pictures of each width and height; ``grey`` and ``faults`` name every one there is.

    ``grey`` is None where pictures have no colours that could be missing.
    """

    sizes: Mapping[tuple[int, int], int]
    grey: tuple[str, ...] | None
    faults: tuple[str, ...]
