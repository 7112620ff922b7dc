"""The published numbers of a table in the columns that people read: two at the most, whatever number of registries there is."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report.published import registry_of
from orchestrator.report.published_number import PublishedNumber
from orchestrator.report.registry_schema import Kind
from orchestrator.report.table_rows import CellRow

MISSING = "–"
MOST_COLUMNS = 2
"""More would not fit beside the rest in a line that people can read."""
KINDS: Mapping[Kind, str] = {"paper": "paper", "authors_code": "authors' code run again", "independent": "independent"}
RANKS = ("published", "also published")
"""The headings where a column has numbers of several registries."""


@dataclass(frozen=True)
class PublishedColumns:
    """The columns' headings, and for each row a number or None in each.

    ``registries`` are those that are shown, in order, and ``letters`` theirs where a column has numbers of several.
    """

    headings: tuple[str, ...]
    registries: tuple[str, ...]
    shown: tuple[tuple[PublishedNumber | None, ...], ...]
    letters: Mapping[str, str]

    def texts(self, row: int) -> list[str]:
        """What the columns say of a row."""
        return [MISSING if number is None else self._marked(number) for number in self.shown[row]]

    def further(self, row: CellRow, index: int) -> str:
        """The row's numbers for which there is no column, one after the other; empty where there are none."""
        left = [number for number in row.published if number not in self.shown[index]]
        return ", ".join(f"{number.printed} ({number.label})" for number in left)

    def legend(self, rows: Sequence[CellRow], *, hidden: bool) -> str:
        """Where the numbers are from, and which of them counts; empty where there is none. ``hidden``: and where the others are."""
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

    They are those of the first two registries, as long as each verdict is against one of these. Else the first column has the number
    that the verdict is against, the second the next one, and letters say whose they are.
    """
    registries = registries_of(rows, sources)
    first = registries[:MOST_COLUMNS]
    if all(row.compared is None or row.compared.registry in first for row in rows):
        return _a_column_each(rows, first)
    return _by_rank(rows, registries)


def registries_of(rows: Sequence[CellRow], sources: Sequence[str]) -> tuple[str, ...]:
    """The registries that have a number in some row, in the order of ``sources``."""
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
    """``a`` to ``z``, then ``aa`` and on."""
    return string.ascii_lowercase[index % 26] * (1 + index // 26)
