"""The table as text: for a terminal, Markdown, LaTeX, or other programs."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence

from orchestrator.report.aggregate import CellRow
from orchestrator.report.identifiers import identifier
from orchestrator.report.json_keys import CELL_KEYS, SCHEMA_VERSION, TABULAR
from orchestrator.report.latex import latex
from orchestrator.report.row_text import HEADINGS, NUMERIC, body, head, legend
from orchestrator.spec import SweepSpec

WIDTH = 120
"""The most columns that the text table takes."""


def render(rows: Sequence[CellRow], form: str, *, spec: SweepSpec) -> str:
    """The table in ``text``, ``md``, ``csv``, ``latex`` or ``json``; a pure function of its rows."""
    return FORMATS[form](rows, spec)


def _plain(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def _csv(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """A row a cell; trials by their ids, separated by spaces, other lists by semicolons; what is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([TABULAR.get(key, key) for key in CELL_KEYS])
    for row in rows:
        ids = {
            "cell": identifier("cell_id", row.cell),
            "evaluation": identifier("evaluation_id", row.evaluation),
            "trials": " ".join(identifier("trial_id", fingerprint) for fingerprint in row.trials),
        }
        values = (ids[key] if key in ids else getattr(row, key) for key in CELL_KEYS)
        writer.writerow(["; ".join(value) if isinstance(value, tuple) else _plain(value) for value in values])
    return out.getvalue()


def _json(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """An object with the sweep's name and a list of cells; what is missing is null."""
    cells = [{key: _plain(getattr(row, key)) for key in CELL_KEYS} for row in rows]
    document = {"schema_version": SCHEMA_VERSION, "sweep": spec.name, "title": spec.title, "cells": cells}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _text(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """Aligned columns; the verdicts' reasons move to the footnotes where the lines would be too long for a terminal."""
    full = _text_of(rows, spec, brief=False)
    return full if max(map(len, full.splitlines())) <= WIDTH else _text_of(rows, spec, brief=True)


def _text_of(rows: Sequence[CellRow], spec: SweepSpec, *, brief: bool) -> str:
    table, notes = body(rows, brief=brief)
    heading, *lines = _aligned([list(HEADINGS[2:]), *(line.marked[2:] for line in table)])
    groups = [", ".join(line.cells[:2]) for line in table]
    rule = "─" * min(max(map(len, [heading, *lines])), WIDTH)
    if len(set(groups)) > 1:
        lines = [text for index, line in enumerate(lines) for text in (*_new_group(groups, index), line)]
    above = [part for text in (*head(spec), *(groups[:1] if len(set(groups)) == 1 else [])) for part in _wrapped(text)]
    foot = [part for text in (legend(rows), *(f"[{number}] {text}" for text, number in notes.items())) for part in _wrapped(text)]
    return "\n".join([*above, rule, heading, rule, *lines, rule, *foot]) + "\n"


def _aligned(table: list[list[str]]) -> list[str]:
    """The lines of a table without its first two columns, its numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [index + 2 in NUMERIC for index in range(len(widths))]
    return [
        "  ".join(
            text.rjust(width) if flush else text.ljust(width) for text, width, flush in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in table
    ]


def _new_group(groups: list[str], index: int) -> list[str]:
    """The algorithm and the data set on a line of their own where they change."""
    return [] if index and groups[index] == groups[index - 1] else [groups[index]]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2)


def _markdown(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    table, notes = body(rows)
    rule = ["---:" if index in NUMERIC else "---" for index in range(len(HEADINGS))]
    cells = (list(HEADINGS), rule, *(line.marked for line in table))
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in cells]
    title, *marks = head(spec)
    parts = [f"**{title}**", *(f"*{mark}*" for mark in marks), "\n".join(lines), legend(rows)]
    parts += [f"[{number}] {text}" for text, number in notes.items()]
    return "\n\n".join(parts) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[CellRow], SweepSpec], str]] = {
    "text": _text,
    "md": _markdown,
    "csv": _csv,
    "latex": latex,
    "json": _json,
}
"""Every form that a table can take."""
