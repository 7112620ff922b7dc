"""Renders the table as text, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence

from orchestrator.report.identifiers import identifier
from orchestrator.report.json_keys import CELL_KEYS, NUMBERS_OF_REGISTRY, PUBLISHED_KEYS, SCHEMA_VERSION, TABULAR
from orchestrator.report.latex import latex
from orchestrator.report.published_columns import registries_of
from orchestrator.report.published_number import PublishedNumber
from orchestrator.report.row_text import TEXTS_FIRST, TableText, head, table_text
from orchestrator.report.table_rows import CellRow
from orchestrator.sweep.spec import SweepSpec

WIDTH = 100
"""The most characters in a line of the text table."""


def render(rows: Sequence[CellRow], form: str, *, spec: SweepSpec, classes: bool = False) -> str:
    """The table in ``text``, ``md``, ``csv``, ``latex`` or ``json``; a pure function of its rows.

    ``classes`` adds a column with the interval for other test classes, which ``csv`` and ``json`` always have.
    """
    return FORMATS[form](rows, spec, classes)


def _plain(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def _csv(rows: Sequence[CellRow], spec: SweepSpec, classes: bool) -> str:
    """A row per cell. Spaces separate the ids of trials, semicolons the items of other lists; missing values are empty.

    Each registry with a number in some row has its own columns, which replace ``published``.
    """
    registries = registries_of(rows, spec.registries)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column for key in CELL_KEYS for column in _columns(key, registries)])
    writer.writerows([value for key in CELL_KEYS for value in _values(row, key, registries)] for row in rows)
    return out.getvalue()


def _columns(key: str, registries: Sequence[str]) -> list[str]:
    if key == "published":
        return [f"published_{registry}{ending}" for registry in registries for ending in NUMBERS_OF_REGISTRY]
    return [TABULAR.get(key, key)]


def _values(row: CellRow, key: str, registries: Sequence[str]) -> list[object]:
    if key == "published":
        numbers = {number.registry: number for number in row.published}
        return [_plain(getattr(numbers.get(each), name, None)) for each in registries for name in NUMBERS_OF_REGISTRY.values()]
    if key == "trials":
        return [" ".join(identifier("trial_id", fingerprint) for fingerprint in row.trials)]
    if key in TABULAR:
        return [identifier(TABULAR[key], getattr(row, key))]
    value = _json_value(row, key)
    return ["; ".join(value) if isinstance(value, tuple) else value]


def _json(rows: Sequence[CellRow], spec: SweepSpec, classes: bool) -> str:
    """An object with the sweep's name and a list of cells; missing values are null."""
    cells = [{key: _json_value(row, key) for key in CELL_KEYS} for row in rows]
    document = {"schema_version": SCHEMA_VERSION, "sweep": spec.name, "title": spec.title, "cells": cells}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _json_value(row: CellRow, key: str) -> object:
    if key == "published":
        return [_number(number) for number in row.published]
    if key == "compared_with":
        return row.compared.registry if row.compared else None
    return _plain(getattr(row, key))


def _number(number: PublishedNumber) -> dict[str, object]:
    return {key: _plain(getattr(number, key)) for key in PUBLISHED_KEYS}


def _text(rows: Sequence[CellRow], spec: SweepSpec, classes: bool) -> str:
    """Aligned columns; the verdicts' reasons are footnotes where lines would be too long for a terminal."""
    full = _text_of(rows, spec, classes, brief=False)
    return full if max(map(len, full.splitlines())) <= WIDTH else _text_of(rows, spec, classes, brief=True)


def _text_of(rows: Sequence[CellRow], spec: SweepSpec, classes: bool, *, brief: bool) -> str:
    table = table_text(rows, spec, brief=brief, classes=classes)
    heading, *lines = _aligned(table)
    groups = [", ".join(line.cells[:TEXTS_FIRST]) for line in table.lines]
    rule = "─" * min(max(map(len, [heading, *lines])), WIDTH)
    if len(set(groups)) > 1:
        lines = [text for index, line in enumerate(lines) for text in (*_new_group(groups, index), line)]
    above = [part for text in (*head(spec), *(groups[:1] if len(set(groups)) == 1 else [])) for part in _wrapped(text)]
    notes = (table.legend, *(f"[{number}] {text}" for text, number in table.notes.items()))
    foot = [part for text in notes for part in _wrapped(text)]
    return "\n".join([*above, rule, heading, rule, *lines, rule, *foot]) + "\n"


def _aligned(table: TableText) -> list[str]:
    """The heading and the lines of a table without its first two columns, with numbers flush right."""
    lines = [texts[TEXTS_FIRST:] for texts in (table.headings, *(line.marked for line in table.lines))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = [table.is_number(index + TEXTS_FIRST) for index in range(len(widths))]
    return [
        "  ".join(
            text.rjust(width) if flush else text.ljust(width) for text, width, flush in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]


def _new_group(groups: list[str], index: int) -> list[str]:
    """A line with the algorithm and the data set where they change."""
    return [] if index and groups[index] == groups[index - 1] else [groups[index]]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2)


def _markdown(rows: Sequence[CellRow], spec: SweepSpec, classes: bool) -> str:
    table = table_text(rows, spec, further=True, classes=classes)
    rule = ["---:" if table.is_number(index) else "---" for index in range(len(table.headings))]
    cells = (table.headings, rule, *(line.marked for line in table.lines))
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in cells]
    title, *marks = head(spec)
    parts = [f"**{title}**", *(f"*{mark}*" for mark in marks), "\n".join(lines), table.legend]
    parts += [f"[{number}] {text}" for text, number in table.notes.items()]
    return "\n\n".join(parts) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[CellRow], SweepSpec, bool], str]] = {
    "text": _text,
    "md": _markdown,
    "csv": _csv,
    "latex": latex,
    "json": _json,
}
"""Every format of a table."""
