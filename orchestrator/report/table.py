"""The table as text: for a terminal, Markdown, LaTeX, or other programs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence

from orchestrator.report.aggregate import CellRow
from orchestrator.report.identifiers import identifier
from orchestrator.spec import SweepSpec

MISSING = "–"
WIDTH = 120
"""The most columns that the text table takes."""
_DATASETS = {"omniglot": "Omniglot", "glyphs": "glyphs (invented)", "mini_imagenet": "miniImageNet"}
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
    """A row a cell; trials by their ids, separated by spaces, other lists by semicolons; what is missing is empty."""
    out = io.StringIO()
    names = [field.name for field in dataclasses.fields(CellRow)]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        ids = " ".join(identifier("trial_id", fingerprint) for fingerprint in row.trials)
        values = (ids if name == "trials" else getattr(row, name) for name in names)
        writer.writerow(["; ".join(value) if isinstance(value, tuple) else _plain(value) for value in values])
    return out.getvalue()


def _json(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """An object with the sweep's name and a list of cells; what is missing is null."""
    cells = [{name: _plain(value) for name, value in dataclasses.asdict(row).items()} for row in rows]
    return json.dumps({"sweep": spec.name, "title": spec.title, "cells": cells}, indent=1, ensure_ascii=False) + "\n"


def _number(value: float | None, decimals: int) -> str:
    return MISSING if value is None else f"{value:.{decimals}f}"


def _with_interval(value: float | None, half: float | None, decimals: int) -> str:
    return _number(value, decimals) + ("" if value is None or half is None else f" ± {half:.{decimals}f}")


def _cells(row: CellRow, notes: Sequence[str], verdict: str) -> list[str]:
    difference = MISSING if row.difference is None else f"{row.difference:+.2f}"
    decimals = 1 if row.published_decimals is None else row.published_decimals
    marks = "".join(f" [{note}]" for note in notes)
    return [
        row.form,
        _DATASETS.get(row.dataset, row.dataset),
        str(row.way),
        str(row.shot),
        _with_interval(row.published, row.published_ci95, decimals),
        _number(row.article_2018, 1),
        _with_interval(row.reproduced, row.ci95_episodes, 2),
        _number(row.std_seeds, 2),
        f"{row.seeds_done}/{row.seeds_wanted}",
        difference,
        verdict + marks,
    ]


def _verdict(row: CellRow, brief: bool) -> tuple[str, tuple[str, ...]]:
    """What the verdict's column says, and what of it is left to footnotes. What differs stands in a footnote of its own."""
    if row.verdict_label in ("not comparable", "short run"):
        return row.verdict_label, row.verdict_reasons[-1:] if row.verdict.endswith("diverged") else ()
    return (row.verdict_label, row.verdict_reasons) if brief else (row.verdict, ())


def _footnotes(rows: Sequence[CellRow], brief: bool) -> tuple[dict[str, str], list[list[str]]]:
    """Numbered texts of what differs and what is doubted, and the numbers that each row refers to."""
    numbers: dict[str, str] = {}
    marks: list[list[str]] = []
    for row in rows:
        texts = [f"{row.verdict_label}: {reason}" for reason in _verdict(row, brief)[1]]
        texts += [f"unlike the published run: {'; '.join(row.differs)}"] if row.differs else []
        texts += [f"the published number: {row.doubt}"] if row.doubt else []
        marks.append([numbers.setdefault(text, str(len(numbers) + 1)) for text in texts])
    return numbers, marks


def _legend(rows: Sequence[CellRow]) -> str:
    sources = sorted({row.published_source for row in rows if row.published_source})
    compared = f"Published: {'; '.join(sources)}. " if sources else ""
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


def _body(rows: Sequence[CellRow], brief: bool = False) -> tuple[list[list[str]], dict[str, str]]:
    notes, marks = _footnotes(rows, brief)
    return [_cells(row, mark, _verdict(row, brief)[0]) for row, mark in zip(rows, marks, strict=True)], notes


def _text(rows: Sequence[CellRow], spec: SweepSpec) -> str:
    """Aligned columns; the verdicts' reasons move to the footnotes where the lines would be too long for a terminal."""
    full = _text_of(rows, spec, brief=False)
    return full if max(map(len, full.splitlines())) <= WIDTH else _text_of(rows, spec, brief=True)


def _text_of(rows: Sequence[CellRow], spec: SweepSpec, *, brief: bool) -> str:
    body, notes = _body(rows, brief)
    heading, *lines = _aligned([list(_HEADINGS[2:]), *(line[2:] for line in body)])
    groups = [f"{line[0]}, {line[1]}" for line in body]
    rule = "─" * min(max(map(len, [heading, *lines])), WIDTH)
    if len(set(groups)) > 1:
        lines = [text for index, line in enumerate(lines) for text in (*_new_group(groups, index), line)]
    head = [part for text in (*_head(spec), *(groups[:1] if len(set(groups)) == 1 else [])) for part in _wrapped(text)]
    foot = [
        part for text in (_legend(rows), *(f"[{number}] {text}" for text, number in notes.items())) for part in _wrapped(text)
    ]
    return "\n".join([*head, rule, heading, rule, *lines, rule, *foot]) + "\n"


def _aligned(table: list[list[str]]) -> list[str]:
    """The lines of a table without its first two columns, its numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [index + 2 in _RIGHT for index in range(len(widths))]
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
    caption = _escaped(" ".join(text if text.endswith(".") else f"{text}." for text in (*_head(spec), _legend(rows))))
    parts = [r"\begin{table}", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    parts += [" & ".join(map(_escaped, _HEADINGS)) + r" \\", r"\midrule", *lines, r"\bottomrule", r"\end{tabular}"]
    # A line break before "[" would take what follows for its optional argument, hence paragraphs.
    parts += [rf"\par\noindent {_escaped(f'[{number}] {text}')}" for text, number in notes.items()]
    return "\n".join([*parts, r"\end{table}"]) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[CellRow], SweepSpec], str]] = {
    "text": _text,
    "md": _markdown,
    "csv": _csv,
    "latex": _latex,
    "json": _json,
}
"""Every form that a table can take."""
