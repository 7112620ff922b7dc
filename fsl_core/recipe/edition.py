"""Editions of the recipes: each changes the meaning of a recipe, and results of different editions are never mixed.

The number of the edition in force is :data:`fsl_core.recipe.fingerprint.SCHEMA_VERSION`, which every fingerprint hashes.
"""

from __future__ import annotations

from typing import Any

from fsl_core.recipe.fingerprint import SCHEMA_VERSION, fingerprint_of_plain

FIRST_EDITION = 1
"""The edition of documents without an edition number, which it did not write."""

_NAMES = ("first", "second", "third", "fourth", "fifth")


def edition_name(edition: int) -> str:
    """An edition in words: ``first edition``."""
    return f"{_NAMES[edition - 1]} edition" if 0 < edition <= len(_NAMES) else f"edition {edition}"


def edition_of(kind: type[Any], plain: Any, fingerprint: str) -> int | None:
    """The edition in which settings of ``kind``, as plain JSON types, have this fingerprint; None if there is none.

    Raises ValueError for values that JSON lacks, such as infinity.
    """
    editions = range(SCHEMA_VERSION, FIRST_EDITION - 1, -1)
    return next((each for each in editions if fingerprint_of_plain(kind.__name__, plain, schema=each) == fingerprint), None)
