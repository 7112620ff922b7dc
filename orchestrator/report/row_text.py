"""Renders the table's columns, lines and footnotes as texts for readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.recipe.data_settings import data_sets
from orchestrator.report.published_columns import MISSING, PublishedColumns, published_columns
from orchestrator.report.published_number import PublishedNumber
from orchestrator.report.table_rows import CellRow
from orchestrator.sweep.spec import SweepSpec

_BEFORE = ("algorithm", "data set", "way", "shot")
SPREAD, SEEDS = "std (seeds)", "seeds"
"""The headings over the finished seeds: where some row has a deviation over them, and where none has."""
_SEEDS_SAID = {
    SPREAD: "std (seeds): standard deviation over training seeds, and how many of them are done.",
    SEEDS: "seeds: how many trainings of those wanted are done.",
}
_VERSIONS = "{} versions of the code, of one edition of the recipes, computed the seeds; provenance.json has the digest of each"
TEXTS_FIRST = 2
"""The number of leading columns of words: algorithm and data set. The last column, the verdict, has words too; the others are numbers."""


@dataclass(frozen=True)
class Line:
    """A row of the table: a text for each heading, and the numbers of its footnotes, which are attached to the verdict."""

    cells: list[str]
    marks: list[str]

    @property
    def marked(self) -> list[str]:
        """The cells, the footnotes' numbers in brackets after the verdict."""
        return [*self.cells[:-1], self.cells[-1] + (f" [{','.join(self.marks)}]" if self.marks else "")]


@dataclass(frozen=True)
class TableText:
    """A table in words: headings, lines, the numbers of footnotes by their texts, and the legend."""

    headings: list[str]
    lines: list[Line]
    notes: dict[str, str]
    legend: str

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return TEXTS_FIRST <= column < len(self.headings) - 1


def table_text(
    rows: Sequence[CellRow], spec: SweepSpec, *, brief: bool = False, further: bool = False, classes: bool = False
) -> TableText:
    """The table in words.

    Args:
        rows: its rows.
        spec: the sweep.
        brief: moves the verdicts' reasons to the footnotes.
        further: adds footnotes for the published numbers without a column.
        classes: adds a column with the interval for other test classes.
    """
    published = published_columns(rows, spec.registries)
    seeds = SEEDS if all(row.std_seeds is None for row in rows) else SPREAD
    notes: dict[str, str] = {}
    lines = []
    for index, row in enumerate(rows):
        verdict, reasons = _verdict(row, brief)
        texts = _footnotes(row, [number for number in published.shown[index] if number], reasons)
        texts += [f"also published: {left}"] if further and (left := published.further(row, index)) else []
        marks = sorted((notes.setdefault(text, str(len(notes) + 1)) for text in texts), key=int)
        lines.append(Line(_cells(row, published.texts(index), verdict, spread=seeds == SPREAD, classes=classes), marks))
    legend = _legend(rows, published, seeds, further=further, classes=classes)
    return TableText(_headings(published, seeds, classes), lines, notes, legend)


def head(spec: SweepSpec) -> list[str]:
    """The sweep's title, and the warnings that precede all numbers."""
    lines = [spec.title]
    if spec.short:
        lines.append("SHORT RUN: trained for less than the published numbers; it cannot confirm or refute them.")
    if spec.overrides:
        lines.append(f"Not the sweep as its file has it: {' '.join(spec.overrides)}")
    return lines


def _headings(published: PublishedColumns, seeds: str, classes: bool) -> list[str]:
    """The headings, without those of published numbers and differences where nothing is published."""
    difference = ["diff."] if published.headings else []
    open_interval = ["classes"] if classes else []
    return [*_BEFORE, *published.headings, "reproduced", *open_interval, seeds, *difference, "verdict"]


def _cells(row: CellRow, published: list[str], verdict: str, *, spread: bool, classes: bool) -> list[str]:
    return [
        row.form,
        data_sets()[row.dataset].title,
        str(row.way),
        str(row.shot),
        *published,
        _reproduced(row),
        *([MISSING if row.ci95_classes is None else f"± {row.ci95_classes:.2f}"] if classes else []),
        _seeds(row, spread),
        *([MISSING if row.difference is None else f"{row.difference:+.2f}"] if published else []),
        verdict,
    ]


def _seeds(row: CellRow, spread: bool) -> str:
    done = f"{row.seeds_done}/{row.seeds_wanted}"
    return f"{MISSING if row.std_seeds is None else f'{row.std_seeds:.2f}'} ({done})" if spread else done


def _reproduced(row: CellRow) -> str:
    if row.reproduced is None:
        return MISSING
    return f"{row.reproduced:.2f}" + ("" if row.ci95_episodes is None else f" ± {row.ci95_episodes:.2f}")


def _verdict(row: CellRow, brief: bool) -> tuple[str, tuple[str, ...]]:
    """The text of the verdict's column, and the reasons left to footnotes. Differences have their own footnote."""
    if row.unlike:
        return row.verdict_label, () if row.lost is None else (row.lost,)
    return (row.verdict_label, row.verdict_reasons) if brief else (row.verdict, ())


def _footnotes(row: CellRow, shown: Sequence[PublishedNumber], reasons: Sequence[str]) -> list[str]:
    """The footnotes of a row.

    They are: reasons and assumptions of the verdict, how its seeds were trained, differences from the published run, and remarks on
    published numbers.
    """
    beside = f"unlike {row.compared.label}" if row.compared else "of ours"
    return [
        *(f"{row.verdict_label}: {reason}" for reason in reasons),
        *(f"for the verdict {text}" for text in row.assumed),
        *([f"training ended: {row.training_ended}"] if row.cut_short else []),
        *([_VERSIONS.format(row.code_versions)] if row.code_versions > 1 else []),
        *([f"{beside}: {'; '.join(row.differs)}"] if row.differs else []),
        *([f"ours, where the source is silent: {'; '.join(row.choices)}"] if row.choices and row.published else []),
        *(f"{number.label}: {number.choice}" for number in shown if number.choice),
        *(f"{number.label}: {number.doubt}" for number in shown if number.doubt),
    ]


_VERDICT = (
    "Verdict: whether the 95% interval of the difference between the accuracies expected over trainings, which counts the test episodes "
    "and the trainings of both sides, lies within the margin (reproduced), beyond it (above, below) or across its edge (inconclusive)."
)


def _legend(rows: Sequence[CellRow], published: PublishedColumns, seeds: str, *, further: bool, classes: bool) -> str:
    theirs = any(number and number.std_seeds is not None for numbers in published.shown for number in numbers)
    return (
        f"{published.legend(rows, hidden=not further)}Accuracy in percent. "
        "Reproduced: mean over the seeds done. ±: half the 95% interval for test episodes sampled again from the same classes; "
        f"{'classes: the same had other test classes been chosen as well; ' if classes else ''}"
        f"{_SEEDS_SAID[seeds]}{' sd: standard deviation over their trainings.' if theirs else ''}"
        f"{f' {_VERDICT}' if any(row.ci95_difference is not None for row in rows) else ''}"
    )
