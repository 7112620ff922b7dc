"""Rows of a table whose images differ although their data settings are equal: the user changed them between trainings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.counted import counted
from orchestrator.report.score import CellScore
from orchestrator.sweep.plan import Cell


def changed_images(scored: Iterable[tuple[Cell, CellScore]]) -> Mapping[str, str]:
    """A remark for each cell, by its fingerprint, whose images differ from those of other cells with equal data settings."""
    seen: dict[DataSettings, dict[str, str]] = defaultdict(dict)
    for cell, score in scored:
        if score.data_digest is not None:
            seen[cell.settings.data()][cell.fingerprint] = score.data_digest
    return {cell: _remark(others) for digests in seen.values() for cell in digests if (others := _unlike(cell, digests))}


def _unlike(cell: str, digests: Mapping[str, str]) -> int:
    """The number of cells with other images."""
    return sum(digest != digests[cell] for digest in digests.values())


def _remark(others: int) -> str:
    return f"other images than {counted(others, 'row')} of the same data settings"
