"""Where the cells of a table stand: what was published and what was reproduced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from orchestrator.report.aggregate import CellRow
from orchestrator.report.canvas import Axes, Figure, default_style, wrapped, write_figure, write_title
from orchestrator.report.line_styles import OURS, THEIRS

_LABEL_CHARACTERS = 56
_LINE = 0.16
"""Inches of a line of a label."""


@default_style()
def cells_figure(rows: Sequence[CellRow], path: Path, *, title: str) -> Path:
    """Published and reproduced accuracy of every cell, each with its 95% interval over episodes where it has one.

    What a shorter training than the published one gave is hollow.
    """
    labels = [_label(row) for row in rows]
    height = sum(max(0.42, 0.1 + _LINE * (label.count("\n") + 1)) for label in labels)
    figure = Figure(figsize=(8.5, 1.6 + height), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(rows):
        place = len(rows) - 1 - index
        _dot(axes, row.published, row.published_ci95, place + 0.15, THEIRS, "s", filled=True)
        _dot(axes, row.reproduced, row.ci95_episodes, place - 0.15, OURS, "o", filled=not row.trained_for_less)
    axes.set_yticks(range(len(rows)), labels[::-1], fontsize=8)
    axes.set(xlabel="accuracy (%), 95% interval over episodes", ylim=(-0.6, len(rows) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    for edge in range(1, len(rows)):
        axes.axhline(edge - 0.5, color="#dddddd", linewidth=0.6, zorder=0)
    _draw_legend(figure, axes, {row.trained_for_less for row in rows if row.reproduced is not None} or {False})
    write_title(figure, title)
    return write_figure(figure, path)


def _label(row: CellRow) -> str:
    return f"{wrapped(row.form, _LABEL_CHARACTERS)}\n{row.dataset} {row.way}-way {row.shot}-shot"


def _dot(axes: Axes, value: float | None, half: float | None, place: float, colour: str, marker: str, *, filled: bool) -> None:
    if value is not None:
        face = colour if filled else "white"
        axes.errorbar(value, place, xerr=half, fmt=marker, color=colour, markerfacecolor=face, markersize=5, capsize=3)


def _draw_legend(figure: Figure, axes: Axes, short: Collection[bool]) -> None:
    """Beneath the panel, where it hides no cell. ``short``: whether trainings were short, of those that are drawn."""
    axes.plot([], [], "s", color=THEIRS, label="published")
    if False in short:
        axes.plot([], [], "o", color=OURS, label="reproduced")
    if True in short:
        axes.plot([], [], "o", color=OURS, markerfacecolor="white", label="reproduced, trained for less than published")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
