"""A row of the table as words and numbers for people, and the footnotes that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.report.aggregate import CellRow
from orchestrator.spec import SweepSpec

MISSING = "–"
_DATASETS = {"omniglot": "Omniglot", "glyphs": "glyphs (invented)", "mini_imagenet": "miniImageNet"}
HEADINGS = (
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
NUMERIC = frozenset(range(2, 10))
"""The columns of numbers."""


@dataclass(frozen=True)
class Line:
    """A row of the table: a text for each of :data:`HEADINGS`, and the numbers of its footnotes, which belong to the verdict."""

    cells: list[str]
    marks: list[str]

    @property
    def marked(self) -> list[str]:
        """The cells, the footnotes' numbers in brackets after the verdict."""
        return [*self.cells[:-1], "".join([self.cells[-1], *(f" [{mark}]" for mark in self.marks)])]


def _number(value: float | None, decimals: int) -> str:
    return MISSING if value is None else f"{value:.{decimals}f}"


def _with_interval(value: float | None, half: float | None, decimals: int) -> str:
    return _number(value, decimals) + ("" if value is None or half is None else f" ± {half:.{decimals}f}")


def _cells(row: CellRow, verdict: str) -> list[str]:
    difference = MISSING if row.difference is None else f"{row.difference:+.2f}"
    decimals = 1 if row.published_decimals is None else row.published_decimals
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
        verdict,
    ]


def _verdict(row: CellRow, brief: bool) -> tuple[str, tuple[str, ...]]:
    """What the verdict's column says, and what of it is left to footnotes. What differs stands in a footnote of its own."""
    if row.unlike:
        return row.verdict_label, () if row.lost is None else (row.lost,)
    return (row.verdict_label, row.verdict_reasons) if brief else (row.verdict, ())


def _footnotes(rows: Sequence[CellRow], brief: bool) -> tuple[dict[str, str], list[list[str]]]:
    """Numbered texts of what differs and what is doubted, and the numbers that each row refers to."""
    numbers: dict[str, str] = {}
    marks: list[list[str]] = []
    for row in rows:
        texts = [f"{row.verdict_label}: {reason}" for reason in _verdict(row, brief)[1]]
        texts += [f"unlike the published run: {'; '.join(row.differs)}"] if row.differs else []
        texts += [f"ours, where the source is silent: {'; '.join(row.choices)}"] if row.choices else []
        texts += [f"the published number: {row.doubt}"] if row.doubt else []
        marks.append(sorted((numbers.setdefault(text, str(len(numbers) + 1)) for text in texts), key=int))
    return numbers, marks


def legend(rows: Sequence[CellRow]) -> str:
    """What the columns hold, and where the published numbers are from."""
    sources = sorted({row.published_source for row in rows if row.published_source})
    compared = f"Published: {'; '.join(sources)}. " if sources else ""
    return (
        f"{compared}Accuracy in percent. Reproduced: mean over the seeds done ± half the 95% interval over test episodes; "
        "seeds' std: standard deviation over training seeds; 2018: the PyTorch reproduction by O. Knagg."
    )


def head(spec: SweepSpec) -> list[str]:
    """The sweep's title, and what a reader must know before any number."""
    lines = [spec.title]
    if spec.short:
        lines.append("SHORT RUN: trained for less than the published numbers; it cannot confirm or refute them.")
    if spec.overrides:
        lines.append(f"Not the sweep as its file has it: {' '.join(spec.overrides)}")
    return lines


def body(rows: Sequence[CellRow], *, brief: bool = False) -> tuple[list[Line], dict[str, str]]:
    """The table's lines, and its footnotes' numbers by their texts. ``brief`` leaves the verdicts' reasons to the footnotes."""
    notes, marks = _footnotes(rows, brief)
    lines = [Line(_cells(row, _verdict(row, brief)[0]), mark) for row, mark in zip(rows, marks, strict=True)]
    return lines, notes
