"""Arranges the published numbers of a table in at most two columns, whatever the number of registries."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report.published import registry_of
from orchestrator.report.published_number import PublishedNumber
from orchestrator.report.registry_schema import RegistryKind
from orchestrator.report.table_rows import CellRow

MISSING = "–"
MOST_COLUMNS = 2
"""More columns would make lines too long to read."""
KINDS: Mapping[RegistryKind, str] = {"paper": "paper", "authors_code": "authors' code run again", "independent": "independent"}
RANKS = ("published", "also published")
"""The headings of columns with numbers of several registries."""


@dataclass(frozen=True)
class PublishedColumns:
    """The headings of the columns, and for each row a number or None per column.

    ``registries`` are the shown ones, in order; ``letters`` are their marks where a column has numbers of several.
    """

    headings: tuple[str, ...]
    registries: tuple[str, ...]
    shown: tuple[tuple[PublishedNumber | None, ...], ...]
    letters: Mapping[str, str]

    def texts(self, row: int) -> list[str]:
        """The texts of the columns in a row."""
        return [MISSING if number is None else self._marked(number) for number in self.shown[row]]

    def further(self, row: CellRow, index: int) -> str:
        """The row's numbers without a column, as a list; empty where there are none."""
        left = [number for number in row.published if number not in self.shown[index]]
        return ", ".join(f"{number.printed} ({number.label})" for number in left)

    def legend(self, rows: Sequence[CellRow], *, hidden: bool) -> str:
        """The sources of the numbers, and which one counts; empty without numbers. ``hidden``: adds the place of the others."""
        if not self.headings:
            return ""
        numbers = [number for row in rows for number in row.published]
        origins = "; ".join(self._origin([number for number in numbers if number.registry == each]) for each in self.registries)
        left = len({number.registry for number in numbers}) - len(self.registries)
        more = f" Numbers of {left} more: table.json." if left and hidden else ""
        counts = " Difference and verdict: against the first of a row." if len(self.headings) > 1 else ""
        return f"Published: {origins}.{counts}{more} "

    def _marked(self, number: PublishedNumber) -> str:
        letter = self.letters.get(number.registry)
        return number.printed + (f" {letter}" if letter else "")

    def _origin(self, numbers: Sequence[PublishedNumber]) -> str:
        first = numbers[0]
        letter, tables = self.letters.get(first.registry), ", ".join(dict.fromkeys(number.table for number in numbers))
        origin = first.source.removesuffix(f", {first.table}")
        return f"{f'{letter} ' if letter else ''}{first.label} ({KINDS[first.kind]}): {origin}, {tables}"


def published_columns(rows: Sequence[CellRow], sources: Sequence[str]) -> PublishedColumns:
    """The columns of a table.

    They are those of the first two registries if every verdict is against one of these. Otherwise the first column has the number that
    the verdict is against, the second the next one, and letters mark their registries.
    """
    registries = registries_of(rows, sources)
    first = registries[:MOST_COLUMNS]
    if all(row.compared is None or row.compared.registry in first for row in rows):
        return _a_column_each(rows, first)
    return _by_rank(rows, registries)


def registries_of(rows: Sequence[CellRow], sources: Sequence[str]) -> tuple[str, ...]:
    """The registries with a number in some row, in the order of ``sources``."""
    found = {number.registry for row in rows for number in row.published}
    return tuple(dict.fromkeys(registry for registry in map(registry_of, sources) if registry in found))


def _a_column_each(rows: Sequence[CellRow], registries: Sequence[str]) -> PublishedColumns:
    by_row = [{number.registry: number for number in row.published} for row in rows]
    labels = {number.registry: number.label for row in rows for number in row.published}
    shown = tuple(tuple(numbers.get(registry) for registry in registries) for numbers in by_row)
    return PublishedColumns(tuple(labels[registry] for registry in registries), tuple(registries), shown, {})


def _by_rank(rows: Sequence[CellRow], registries: Sequence[str]) -> PublishedColumns:
    count = min(MOST_COLUMNS, max(len(row.published) for row in rows))
    shown = tuple((*row.published[:count], *[None] * (count - len(row.published))) for row in rows)
    here = {number.registry for numbers in shown for number in numbers if number}
    present = tuple(registry for registry in registries if registry in here)
    return PublishedColumns(RANKS[:count], present, shown, {registry: _letter(index) for index, registry in enumerate(present)})


def _letter(index: int) -> str:
    """The letters ``a`` to ``z``, then ``aa`` and so on."""
    return string.ascii_lowercase[index % 26] * (1 + index // 26)
