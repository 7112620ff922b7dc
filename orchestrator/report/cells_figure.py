"""Plots the published and reproduced numbers of every cell."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from orchestrator.report.canvas import Axes, Figure, default_style, wrapped, write_figure, write_title
from orchestrator.report.line_styles import COLOURS, OURS
from orchestrator.report.table_rows import CellRow

_LABEL_CHARACTERS = 56
_LINE, _DOT = 0.16, 0.15
"""Inches per line of a label, and between two dots of a cell."""
_THEIRS, _MARKERS = COLOURS[1:], "sD^vPX*"
"""Colours and shapes of registries. Together they repeat after 42, because six and seven have no common divisor."""


@default_style()
def cells_figure(rows: Sequence[CellRow], path: Path, *, title: str) -> Path:
    """Plots every published and reproduced number of every cell, with its 95% interval over episodes where there is one.

    A cell's published numbers are in the sweep's order of registries, above the reproduced one. A deviation over trainings is not such an
    interval and not plotted. Dots of trainings shorter than the published ones are hollow.
    """
    labels = {number.registry: number.label for row in rows for number in row.published}
    names = [_label(row) for row in rows]
    heights = [
        max(0.42, 0.1 + _LINE * (name.count("\n") + 1), _DOT * (len(row.published) + 2))
        for row, name in zip(rows, names, strict=True)
    ]
    bottoms = [-sum(heights[: index + 1]) for index in range(len(rows))]
    figure = Figure(figsize=(8.5, 1.6 + sum(heights)), layout="constrained")
    axes = figure.subplots()
    for row, bottom, height in zip(rows, bottoms, heights, strict=True):
        _draw_row(axes, row, bottom + height / 2, labels)
    axes.set_yticks([bottom + height / 2 for bottom, height in zip(bottoms, heights, strict=True)], names, fontsize=8)
    axes.set(xlabel="accuracy (%), 95% interval over episodes", ylim=(-sum(heights), 0))
    axes.grid(axis="x", alpha=0.3)
    for edge in bottoms[:-1]:
        axes.axhline(edge, color="#dddddd", linewidth=0.6, zorder=0)
    _draw_legend(figure, axes, labels, [row for row in rows if row.reproduced is not None])
    write_title(figure, title)
    return write_figure(figure, path)


def _draw_row(axes: Axes, row: CellRow, centre: float, labels: Collection[str]) -> None:
    """The dots of a cell around its centre; the vertical axis is in inches."""
    top = centre + _DOT * len(row.published) / 2
    for rank, number in enumerate(row.published):
        colour, marker = _style(number.registry, labels)
        _dot(axes, number.accuracy, number.ci95, top - _DOT * rank, colour=colour, marker=marker)
    last, filled = top - _DOT * len(row.published), not row.trained_for_less
    _dot(axes, row.reproduced, row.ci95_episodes, last, colour=OURS, marker="o", filled=filled)


def _style(registry: str, labels: Collection[str]) -> tuple[str, str]:
    """A registry's colour and marker."""
    number = list(labels).index(registry)
    return _THEIRS[number % len(_THEIRS)], _MARKERS[number % len(_MARKERS)]


def _label(row: CellRow) -> str:
    return f"{wrapped(row.form, _LABEL_CHARACTERS)}\n{row.dataset} {row.way}-way {row.shot}-shot"


def _dot(
    axes: Axes, value: float | None, half: float | None, place: float, *, colour: str, marker: str, filled: bool = True
) -> None:
    if value is not None:
        face = colour if filled else "white"
        axes.errorbar(value, place, xerr=half, fmt=marker, color=colour, markerfacecolor=face, markersize=5, capsize=3)


def _draw_legend(figure: Figure, axes: Axes, labels: Mapping[str, str], plotted: Sequence[CellRow]) -> None:
    """Draws the legend below the panel, where it hides no cell."""
    for registry, label in labels.items():
        colour, marker = _style(registry, labels)
        axes.plot([], [], marker, color=colour, label=label)
    short = [row for row in plotted if row.trained_for_less]
    if len(short) < len(plotted) or not plotted:
        axes.plot([], [], "o", color=OURS, label="reproduced")
    if short:
        why = "trained for less than published" if any(row.published for row in short) else "in a short training"
        axes.plot([], [], "o", color=OURS, markerfacecolor="white", label=f"reproduced, {why}")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
