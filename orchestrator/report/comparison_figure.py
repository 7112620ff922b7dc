"""Plots differences of rows, each with its interval and with that of rows with different episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.report.canvas import Figure, default_style, wrapped, write_figure, write_title
from orchestrator.report.comparison import Comparison
from orchestrator.report.comparison_row import ComparedRow
from orchestrator.report.line_styles import OURS

_LABEL_CHARACTERS = 52
_LINE = 0.16
"""Inches per line of a label."""
_PALE = "#bbbbbb"


@default_style()
def comparison_figure(compared: Sequence[Comparison], path: Path, *, title: str) -> Path:
    """Plots a line per comparison; its dot is hollow where the two rows are not paired by episode."""
    tables = {row.table for each in compared for row in (each.first, each.second)}
    labels = [_label(each, tables) for each in compared]
    height = sum(0.16 + _LINE * (label.count("\n") + 1) for label in labels)
    figure = Figure(figsize=(9, 1.5 + height), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="#555555", linewidth=0.8, zorder=1)
    for index, each in enumerate(compared):
        place, face = len(compared) - 1 - index, OURS if each.paired_by else "white"
        if each.paired_by:
            axes.errorbar(each.difference, place, xerr=each.ci95_unpaired, color=_PALE, linewidth=4, zorder=2)
        axes.errorbar(
            each.difference, place, xerr=each.ci95, fmt="o", color=OURS, markerfacecolor=face, markersize=5, capsize=3, zorder=3
        )
    axes.set_yticks(range(len(compared)), labels[::-1], fontsize=8)
    axes.set(xlabel="difference (percentage points), 95% interval", ylim=(-0.6, len(compared) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    axes.plot([], [], color=_PALE, linewidth=4, label="over the episodes, if the rows had answered different ones")
    axes.plot(
        [],
        [],
        "o-",
        color=OURS,
        label="of the difference" + ("" if all(each.paired_by for each in compared) else "; hollow: not paired"),
    )
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    write_title(figure, title)
    return write_figure(figure, path)


def _label(each: Comparison, tables: set[str]) -> str:
    def name(row: ComparedRow) -> str:
        return wrapped(row.name if len(tables) == 1 else f"{row.table}: {row.name}", _LABEL_CHARACTERS)

    return f"{name(each.second)}\n\N{MINUS SIGN} {name(each.first)}"
