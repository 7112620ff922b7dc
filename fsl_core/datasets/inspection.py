"""The findings of an inspection of a data set's source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Inspection:
    """The contents of a source: ``sizes`` counts the pictures of each width and height; ``grey`` and ``faults`` are complete lists.

    ``grey`` is None for data sets without colour.
    """

    sizes: Mapping[tuple[int, int], int]
    grey: tuple[str, ...] | None
    faults: tuple[str, ...]
