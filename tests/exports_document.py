"""Writes ``docs/exports.md`` from the columns and the keys themselves: ``.venv/bin/python -m tests.exports_document``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.report.export_columns import COLUMNS, LIST, REAL, STAMP, TEXT, TRUTH, WHOLE
from orchestrator.report.json_keys import (
    CELL_KEYS,
    COMPARISON_KEYS,
    DOCUMENT_KEYS,
    NUMBERS_OF_REGISTRY,
    PROVENANCE_KEYS,
    PROVENANCE_OF_TRIAL,
    PUBLISHED_KEYS,
    TABULAR,
)

PATH = Path(__file__).resolve().parents[1] / "docs" / "exports.md"
_TYPES = {
    TEXT: "text",
    WHOLE: "whole number",
    REAL: "number",
    TRUTH: "true or false",
    STAMP: "time",
    LIST: "list of texts",
}
_ROW_OF = {
    "trials": "A row a trial.",
    "cells": "A row for each row of the table.",
    "published": "A row for each published number beside a cell, in the sweep's order.",
    "episodes": "A row a test episode. All trials of the same data, with the same `distinct_characters`, answer the same episodes.",
    "adaptation": "A row for each number of adaptation steps, where an algorithm adapts.",
    "curves": "A row a step and metric.",
}
_INTRODUCTION = """\
# Exports

`fsl export SWEEP` (Parquet, or `--format csv`) writes the tables below, and every `results/<sweep>/` has them as Parquet; their
descriptions are in the Parquet schema too. This page is written from the code by `python -m tests.exports_document`.

- Accuracies are in percent, intervals and differences in percentage points; a column says so in its name. What is missing is empty in CSV
  and null in Parquet and JSON.
- `trial_id` joins `trials`, `episodes`, `adaptation` and `curves`; `evaluation_id` joins `cells`, `episodes` and `adaptation`; `cell_id`
  joins `cells` and `published`. The `trial_ids` of `cells` and the `class_ids` of `episodes` are lists in Parquet; in CSV they are
  separated by spaces, other lists by semicolons.
- An identifier begins with a letter, so that no program that guesses types takes it for a number: `t-` and a fingerprint is a trial,
  `e-` an evaluation, `c-` a cell. Without its first two characters it is the name of the trial's folder, or a fingerprint in JSON.
- Times are UTC: timestamps in Parquet, ISO 8601 in CSV. No column's name is a word of SQL.
"""
_TABLE = f"""\
## The table as JSON and CSV

`fsl table SWEEP --format json` prints one object, which is also `table.json`; `--format csv` and `table.csv` have a row a cell with
the same keys as columns, but for {", ".join(f"`{column}` in place of `{key}`" for key, column in TABULAR.items())}.
In place of `published` it has {", ".join(f"`published_<registry>{ending}`" for ending in NUMBERS_OF_REGISTRY)}
for each registry that has a number in some row.
"""

_COMPARISON = """\
## Comparisons

`fsl compare … --format json` and `comparison.json` have a `schema_version`, a list `left_out` of sentences, and a list `comparisons` with
the keys below, which are the columns of `--format csv` and `comparison.csv` as well: there numbers of seeds are separated by spaces, other
lists by semicolons.
"""


def document() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for name, columns in COLUMNS.items():
        rows = ((f"`{column}`", _TYPES[kind], text) for column, (kind, text) in columns.items())
        parts.append(f"## `{name}`\n\n{_ROW_OF[name]}\n\n{_table(('column', 'type', 'what'), rows)}")
    keys = [_table(("key", "what"), _items(each)) for each in (DOCUMENT_KEYS, CELL_KEYS, PUBLISHED_KEYS)]
    parts += [_TABLE, keys[0], "Each of its `cells`:\n", keys[1], "Each of a cell's `published` numbers:\n", keys[2]]
    keys = [_table(("key", "what"), _items(each)) for each in (PROVENANCE_KEYS, PROVENANCE_OF_TRIAL)]
    parts += ["## `provenance.json`\n", keys[0], "Each of its `trials`:\n", keys[1]]
    return "\n".join([*parts, _COMPARISON, _table(("key", "what"), _items(COMPARISON_KEYS))])


def _items(keys: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((f"`{key}`", text) for key, text in keys.items())


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, ("---",) * len(headings), *rows))


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
