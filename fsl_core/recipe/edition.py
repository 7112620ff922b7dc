"""Editions of the recipes: each changes what a recipe means, and no result of one is ever taken for one of another.

The number of the edition in force is :data:`fsl_core.recipe.fingerprint.SCHEMA_VERSION`, which every fingerprint hashes.
"""

from __future__ import annotations

from typing import Any

from fsl_core.recipe.fingerprint import SCHEMA_VERSION, fingerprint_of_plain

FIRST_EDITION = 1
"""What is written down without the number of its edition is of this one, which wrote none."""

_NAMES = ("first", "second", "third", "fourth", "fifth")


def edition_name(edition: int) -> str:
    """An edition in words: ``first edition``."""
    return f"{_NAMES[edition - 1]} edition" if 0 < edition <= len(_NAMES) else f"edition {edition}"


def edition_of(kind: type[Any], plain: Any, fingerprint: str) -> int | None:
    """The edition under which settings of ``kind``, as plain JSON types, have this fingerprint; None where they have it under none.

    Raises ValueError for what JSON cannot say, such as an infinite number.
    """
    editions = range(SCHEMA_VERSION, FIRST_EDITION - 1, -1)
    return next((each for each in editions if fingerprint_of_plain(kind.__name__, plain, schema=each) == fingerprint), None)
