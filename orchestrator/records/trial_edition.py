"""Finds the edition of the recipe in a trial's folder, and describes trials of earlier editions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsl_core.errors import RecordDamagedError
from fsl_core.recipe.edition import edition_name, edition_of
from fsl_core.recipe.recipe import TrainingRecipe
from orchestrator.counted import counted
from orchestrator.errors import StoreError
from orchestrator.records.sealed import read_sealed


def edition_in(recipe: Path, result: Path, fingerprint: str) -> int | None:
    """The edition in which the recipe of one of these files has the folder's ``fingerprint``; None where there is no such file.

    Absent, damaged and unreadable files are skipped: the reader of their content reports them.
    """

    def of_recipe(plain: dict[str, Any]) -> int | None:
        return edition_of(TrainingRecipe, plain, fingerprint)

    def of_result(plain: dict[str, Any]) -> int | None:
        return of_recipe(plain["recipe"])

    for path, parse in ((recipe, of_recipe), (result, of_result)):
        with suppress(RecordDamagedError, StoreError):
            found = read_sealed(path, parse)
            if found is not None and found[0] is not None:
                return found[0]
    return None


def earlier_editions_text(editions: Mapping[str, int], place: Path) -> str | None:
    """The sentence about trials of earlier editions, given the edition of each; None where there are none."""
    if not editions:
        return None
    counts = ", ".join(
        f"{counted(count, 'trial')} of the {edition_name(edition)}"
        for edition, count in sorted(Counter(editions.values()).items())
    )
    return (
        f"{place} also holds {counts} of the recipes: kept, used by no sweep of today and counted nowhere (`fsl gc` lists them)"
    )
