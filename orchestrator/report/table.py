"""The table as text: for a terminal, Markdown, LaTeX, or other programs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence

from orchestrator.report.aggregate import CellRow
from orchestrator.spec import SweepSpec

MISSING = "–"
_WIDTH = 118
_DATASETS = {"omniglot": "Omniglot", "glyphs": "glyphs (invented)", "mini_imagenet": "miniImageNet"}
_ALGORITHMS = {"prototypical": "Prototypical"}
_HEADINGS = (
    "algorithm",
    "data set",
    "way",
    "shot",
    "published",
    "2018",
    "reproduced",
    "seeds' std",
    "seeds",
    "difference",
    "verdict",
)
_RIGHT = {2, 3, 4, 5, 6, 7, 8, 9}


def render(rows: Sequence[CellRow], form: str, *, spec: SweepSpec) -> str:
    """The table in ``text``, ``md``, ``csv``, ``latex`` or ``json``; a pure function of its rows."""
    return FORMATS[form](rows, spec)


def _plain(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def _csv(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """A row a cell; lists are joined by semicolons, what is missing is empty."""
    out = io.StringIO()
    names = [field.name for field in dataclasses.fields(CellRow)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow(["; ".join(value) if isinstance(value, tuple) else _plain(value) for value in values])
    return out.getvalue()


def _json(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """An object with the sweep's name and a list of cells; what is missing is null."""
    cells = [{name: _plain(value) for name, value in dataclasses.asdict(row).items()} for row in rows]
    head = {"sweep": spec.name, "title": spec.title, "short": spec.short, "overrides": list(spec.overrides)}
    return json.dumps({**head, "cells": cells}, indent=1, ensure_ascii=False) + "\n"


def _number(value: float | None, decimals: int) -> str:
    return MISSING if value is None else f"{value:.{decimals}f}"


def _with_interval(value: float | None, half: float | None, decimals: int) -> str:
    return _number(value, decimals) + ("" if value is None or half is None else f" ± {half:.{decimals}f}")


def _cells(row: CellRow, notes: Sequence[str]) -> list[str]:
    difference = MISSING if row.difference is None else f"{row.difference:+.2f}"
    label = row.verdict.split(" (")[0] if row.verdict.startswith(("not comparable", "short run")) else row.verdict
    marks = "".join(f" [{note}]" for note in notes)
    return [
        f"{_ALGORITHMS.get(row.algorithm, row.algorithm)}, {row.variant}" + (f", order {row.order}" if row.order else ""),
        _DATASETS.get(row.dataset, row.dataset),
        str(row.way),
        str(row.shot),
        _with_interval(row.published, row.published_ci95, row.published_decimals or 1),
        _number(row.article_2018, 1),
        _with_interval(row.reproduced, row.ci95_episodes, 2),
        _number(row.std_seeds, 2),
        f"{row.seeds_done}/{row.seeds_wanted}",
        difference,
        label + marks,
    ]


def _footnotes(rows: Sequence[CellRow]) -> tuple[dict[str, str], list[list[str]]]:
    """Numbered texts of what differs and what is doubted, and the numbers that each row refers to."""
    numbers: dict[str, str] = {}
    marks: list[list[str]] = []
    for row in rows:
        texts = [f"unlike the published run: {'; '.join(row.differs)}"] if row.differs else []
        texts += [f"the published number: {row.doubt}"] if row.doubt else []
        marks.append([numbers.setdefault(text, str(len(numbers) + 1)) for text in texts])
    return numbers, marks


def _legend(rows: Sequence[CellRow]) -> str:
    sources = sorted({row.published_source for row in rows if row.published_source})
    compared = f"Published: {', '.join(sources)}. " if sources else ""
    return (
        f"{compared}Accuracy in percent. Reproduced: mean over the seeds done ± half the 95% interval over test episodes; "
        "seeds' std: standard deviation over training seeds; 2018: the PyTorch reproduction by O. Knagg."
    )


def _head(spec: SweepSpec) -> list[str]:
    lines = [spec.title]
    if spec.short:
        lines.append("SHORT RUN: trained for less than the published numbers; it cannot confirm or refute them.")
    if spec.overrides:
        lines.append(f"Not the sweep as its file has it: {' '.join(spec.overrides)}")
    return lines


def _body(rows: Sequence[CellRow]) -> tuple[list[list[str]], dict[str, str]]:
    notes, marks = _footnotes(rows)
    return [_cells(row, mark) for row, mark in zip(rows, marks, strict=True)], notes


def _text(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    body, notes = _body(rows)
    body, shared = _without_constant(body)
    widths = [max(len(line[index]) for line in body) for index in range(len(body[0]))]
    right = {index for index, heading in enumerate(body[0]) if _HEADINGS.index(heading) in _RIGHT}
    lines = [
        "  ".join(
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in body
    ]
    rule = "─" * min(max(map(len, lines)), _WIDTH)
    wrapped = [
        part
        for text in (_legend(rows), *(f"[{number}] {text}" for text, number in notes.items()))
        for part in textwrap.wrap(text, _WIDTH)
    ]
    head = [*_head(spec), *([shared] if shared else [])]
    return "\n".join([*head, rule, lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule, *wrapped]) + "\n"


def _without_constant(body: list[list[str]]) -> tuple[list[list[str]], str]:
    """Take the algorithm and the data set out of the columns where they are the same in every row: the table stays narrow."""
    constant = [index for index in (0, 1) if len({line[index] for line in body}) == 1 and body]
    kept = [index for index in range(len(_HEADINGS)) if index not in constant]
    shared = ", ".join(body[0][index] for index in constant)
    return [[line[index] for index in kept] for line in (list(_HEADINGS), *body)], shared


def _markdown(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    body, notes = _body(rows)
    rule = ["---:" if index in _RIGHT else "---" for index in range(len(_HEADINGS))]
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in (list(_HEADINGS), rule, *body)]
    title, *marks = _head(spec)
    parts = [f"**{title}**", *(f"*{mark}*" for mark in marks), "\n".join(lines), _legend(rows)]
    parts += [f"[{number}] {text}" for text, number in notes.items()]
    return "\n\n".join(parts) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """A table environment for the booktabs package."""
    body, notes = _body(rows)
    columns = "".join("r" if index in _RIGHT else "l" for index in range(len(_HEADINGS)))
    lines = [" & ".join(map(_escaped, line)) + r" \\" for line in body]
    caption = _escaped(" ".join((". ".join(_head(spec)) + ".", _legend(rows))))
    parts = [r"\begin{table}", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    parts += [" & ".join(map(_escaped, _HEADINGS)) + r" \\", r"\midrule", *lines, r"\bottomrule", r"\end{tabular}"]
    parts += [_escaped(f"[{number}] {text}") + r"\\" for text, number in notes.items()]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[CellRow], SweepSpec], str]] = {
    "text": _text,
    "md": _markdown,
    "csv": _csv,
    "latex": _latex,
    "json": _json,
}
"""Every form that a table can take."""
