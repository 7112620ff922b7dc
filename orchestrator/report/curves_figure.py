"""Plots the validation accuracy and training loss of a sweep's trials, step by step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from fsl_core.training.model_selection import Selection
from fsl_core.training.result import TrialResult
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.canvas import (
    Axes,
    Figure,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    default_style,
    wrapped,
    write_figure,
    write_title,
)
from orchestrator.report.line_styles import line_style
from orchestrator.report.row_text import head
from orchestrator.sweep.plan import Plan, PlannedTrial

_LABEL_CHARACTERS = 42
_DECADE = 10.0
_SELECTED_BY: Mapping[Selection, str] = {
    "loss": "lowest validation loss",
    "accuracy": "highest validation accuracy",
    "last": "the last step",
}
_NOTHING_DONE = "no trial is done yet"
_ALIKE = 2
"""The largest ratio of two budgets whose curves are readable on one axis."""

Row = tuple[str, str]
"""An algorithm on a data set."""


@default_style()
def curves_figure(plan: Plan, records: Mapping[str, TrialRecord], path: Path) -> Path | None:
    """Plots validation accuracy and training loss against training steps, a line per trial; a dot marks the selected step.

    Each algorithm on each data set has its own row; rows of one data set share their axes. Untrained networks have no curve and are
    omitted; None where there are no others.
    """
    trained = [trial for trial in plan.trials if trial.recipe.steps]
    rows = {row: [trial for trial in trained if _row(trial) == row] for row in map(_row, trained)}
    if not rows:
        return None
    heights = [_height(_labels(trials, records)) for trials in rows.values()]
    figure = Figure(figsize=(13, 0.4 + sum(heights)), layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False, height_ratios=heights)
    _share(panels, rows)
    for (accuracy, loss), (row, trials) in zip(panels, rows.items(), strict=True):
        _draw_row(accuracy, loss, row, trials, records)
    for loss in panels[:, 1]:
        _set_plain_ticks(loss)
    write_title(figure, "\n".join(head(plan.spec)))
    return write_figure(figure, path)


def _row(trial: PlannedTrial) -> Row:
    return trial.recipe.algorithm.name, trial.recipe.data.dataset


def _kinds(trials: Sequence[PlannedTrial]) -> list[str]:
    return list(dict.fromkeys(trial.kind for trial in trials))


def _height(labels: Sequence[str]) -> float:
    """The height of a row in inches, with room for the legend beside the panels."""
    return max(3.6, 1.2 + 0.155 * sum(label.count("\n") + 1 for label in labels))


def _labels(trials: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> list[str]:
    """The text of each kind in the legend; beside kinds with curves, those without say so."""
    done = {trial.kind for trial in trials if (record := records.get(trial.fingerprint)) and record.result}
    texts = {kind: wrapped(kind, _LABEL_CHARACTERS) for kind in _kinds(trials)}
    return [text if kind in done or not done else f"{text}\n({_NOTHING_DONE})" for kind, text in texts.items()]


def _share(panels: np.ndarray, rows: Mapping[Row, Sequence[PlannedTrial]]) -> None:
    """Share axes between comparable panels: accuracies and losses of one data set, and steps where budgets are similar."""
    first: dict[str, tuple[int, int]] = {}
    for number, ((_, dataset), trials) in enumerate(rows.items()):
        budget = max(trial.recipe.steps for trial in trials)
        before, budget_before = first.setdefault(dataset, (number, budget))
        if before == number:
            continue
        for axes, shared in zip(panels[number], panels[before], strict=True):
            axes.sharey(shared)
            if max(budget, budget_before) <= _ALIKE * min(budget, budget_before):
                axes.sharex(shared)


def _draw_row(accuracy: Axes, loss: Axes, row: Row, trials: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> None:
    kinds = _kinds(trials)
    for trial in trials:
        record = records.get(trial.fingerprint)
        if record is not None and record.result is not None:
            _draw_curves(accuracy, loss, record.result, *line_style(kinds.index(trial.kind)))
    what = " on ".join(row)
    accuracy.set(xlabel="training steps", ylabel="validation accuracy (%)", title=f"{what}, meta-validation")
    loss.set(xlabel="training steps", ylabel="training loss (nats)", title=f"{what}, meta-train", yscale="log")
    for axes in (accuracy, loss):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
    if not any(axes.lines for axes in (accuracy, loss)):
        _write_that_no_trial_is_done(accuracy, loss)
    _draw_legend(loss, _labels(trials, records), {trial.recipe.validation.selection for trial in trials})


def _write_that_no_trial_is_done(*panels: Axes) -> None:
    """Replaces the numbers of the axes, which would be meaningless."""
    for axes in panels:
        axes.tick_params(labelbottom=False, labelleft=False)
        axes.text(0.5, 0.5, _NOTHING_DONE, transform=axes.transAxes, ha="center", va="center")


def _draw_legend(loss: Axes, labels: Sequence[str], selections: Collection[Selection]) -> None:
    """Draws the legend beside the panels, where it hides no curve."""
    for number, label in enumerate(labels):
        colour, dash = line_style(number)
        loss.plot([], [], dash, color=colour, label=label)
    why = " or ".join(_SELECTED_BY[selection] for selection in sorted(selections))
    title = f"a line a seed,\nthe dot is the selected step\n({why})"
    loss.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, title=title, title_fontsize=8, alignment="left")


def _draw_curves(accuracy: Axes, loss: Axes, result: TrialResult, colour: str, dash: str) -> None:
    steps, values = _points(result, "validation_accuracy")
    accuracy.plot(steps, 100 * values, dash, color=colour, linewidth=1.2, alpha=0.85)
    if result.selected_step is not None and result.validation_accuracy is not None:
        accuracy.plot(result.selected_step, 100 * result.validation_accuracy, "o", color=colour, markersize=5)
    loss.plot(*_points(result, "train_loss"), dash, color=colour, linewidth=1.2, alpha=0.85)


def _points(result: TrialResult, metric: str) -> tuple[np.ndarray, np.ndarray]:
    points = np.array(result.curves.get(metric, ()), dtype=float).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0], points[:, 1]


def _set_plain_ticks(loss: Axes) -> None:
    """Sets ticks at 1, 2 and 5 of each decade, or at even steps within one, written as ``0.2`` and not as a power of ten."""
    low, high = loss.get_ylim()
    loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low >= _DECADE else MaxNLocator(5))
    loss.yaxis.set_minor_locator(NullLocator())
    loss.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
