"""Pictures of a sweep: how its trials trained, where its cells stand, what an episode looks like."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fsl_core.recipe import Evaluation
from fsl_core.result import EvaluationResult, TrialResult
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import TrialRecord
from orchestrator.report.aggregate import CellRow
from orchestrator.report.canvas import Axes, Figure, MaxNLocator, default_style, write_figure

_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)  # Okabe and Ito's, told apart by all eyes
_DASHES = ("-", "--", ":", "-.")
_LEGEND_CHARACTERS = 42
_OURS, _THEIRS = _COLOURS[0], _COLOURS[1]


def line_style(number: int) -> tuple[str, str]:
    """Colour and dash of the line with this number, from 0: the first 28 differ."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number // len(_COLOURS) % len(_DASHES)]


@default_style()
def curves_figure(plan: Plan, records: Mapping[str, TrialRecord], path: Path) -> Path:
    """Validation accuracy and training loss against training steps, a line a trial; a dot marks the selected step.

    Each algorithm on each data set has a row of its own. Untrained networks have no curve and are left out.
    """
    rows = list(dict.fromkeys((trial.recipe.algorithm.name, trial.recipe.data.dataset) for trial in plan.trials))
    figure = Figure(figsize=(14, 0.4 + 3.8 * len(rows)), layout="constrained")
    for (accuracy, loss), row in zip(figure.subplots(len(rows), 2, squeeze=False), rows, strict=True):
        trials = [trial for trial in plan.trials if (trial.recipe.algorithm.name, trial.recipe.data.dataset) == row]
        _draw_row(accuracy, loss, [trial for trial in trials if trial.recipe.steps], records)
    _head(figure, plan.spec.title)
    return write_figure(figure, path)


def _draw_row(accuracy: Axes, loss: Axes, trials: Sequence[PlannedTrial], records: Mapping[str, TrialRecord]) -> None:
    groups = list(dict.fromkeys(trial.kind for trial in trials))
    for trial in trials:
        record = records.get(trial.fingerprint)
        if record is not None and (result := record.result) is not None:
            _draw_curves(accuracy, loss, result, *line_style(groups.index(trial.kind)))
    for number, group in enumerate(groups):
        colour, dash = line_style(number)
        loss.plot([], [], dash, color=colour, label=textwrap.fill(group, _LEGEND_CHARACTERS))
    accuracy.set(xlabel="training steps", ylabel="validation accuracy (%)", title="Meta-validation")
    loss.set(xlabel="training steps", ylabel="training loss (nats)", title="Meta-train", yscale="log")
    for axes in (accuracy, loss):
        axes.grid(alpha=0.3)
    if groups:  # beside the panels, where it hides no curve
        title = "trained on; a line a seed,\nthe dot is the selected step"
        loss.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, title=title, title_fontsize=8)


def _draw_curves(accuracy: Axes, loss: Axes, result: TrialResult, colour: str, dash: str) -> None:
    steps, values = _points(result, "validation_accuracy")
    accuracy.plot(steps, 100 * values, dash, color=colour, linewidth=1.2, alpha=0.85)
    if result.selected_step is not None and result.validation_accuracy is not None:
        accuracy.plot(result.selected_step, 100 * result.validation_accuracy, "o", color=colour, markersize=5)
    loss.plot(*_points(result, "train_loss"), dash, color=colour, linewidth=1.2, alpha=0.85)


def _points(result: TrialResult, metric: str) -> tuple[np.ndarray, np.ndarray]:
    points = np.array(result.curves.get(metric, ()), dtype=float).reshape(-1, 2)
    return points[:, 0], points[:, 1]


@default_style()
def adaptation_figure(plan: Plan, records: Mapping[str, TrialRecord], path: Path) -> Path | None:
    """Accuracy against adaptation steps, a panel a data set and shape, a line a trial; None where nothing has adapted yet."""
    scores = [
        (trial, record.evaluations[each.fingerprint])
        for trial in plan.trials
        if (record := records.get(trial.fingerprint)) is not None
        for each in _longest(trial.evaluations)
        if each.adaptation_steps and each.fingerprint in record.evaluations
    ]
    panels = list(dict.fromkeys(_panel(trial, score) for trial, score in scores))
    if not panels:
        return None
    styles = _adaptation_styles([trial for trial, _ in scores])
    figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for trial, score in scores:
            if _panel(trial, score) == panel and score.correct_by_step is not None:
                _draw_adaptation(axes, trial, score, styles[trial.kind])
        axes.set(xlabel="adaptation steps", ylabel="accuracy (%)", title=panel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        handles, labels = axes.get_legend_handles_labels()
        distinct = dict(zip(labels, handles, strict=True))
        axes.legend(distinct.values(), distinct.keys(), fontsize=8)
    _head(figure, plan.spec.title)
    return write_figure(figure, path)


def _longest(evaluations: Sequence[Evaluation]) -> Sequence[Evaluation]:
    """Of each shape the evaluation with the most adaptation steps: it records the accuracies of the others on its way."""
    by_shape = {each.shape: each for each in sorted(evaluations, key=lambda each: each.adaptation_steps or 0)}
    return tuple(by_shape.values())


def _panel(trial: PlannedTrial, score: EvaluationResult) -> str:
    shape = score.evaluation.shape
    return f"{trial.recipe.data.dataset}, {shape.way}-way {shape.shot}-shot"


def _adaptation_styles(trials: Sequence[PlannedTrial]) -> dict[str, tuple[str, str]]:
    """Colour and dash of every kind of trial: the first of each order has the order's own colour, untrained networks are grey."""
    styles: dict[str, tuple[str, str]] = {}
    seen = {1: 0, 2: 0}
    for trial in trials:
        order = getattr(trial.recipe.algorithm, "order", 1)
        if trial.kind not in styles and trial.recipe.steps:
            styles[trial.kind] = line_style(order - 1 + 2 * seen[order])
            seen[order] += 1
        styles.setdefault(trial.kind, ("#777777", ":"))
    return styles


def _draw_adaptation(axes: Axes, trial: PlannedTrial, score: EvaluationResult, style: tuple[str, str]) -> None:
    colour, dash = style
    means = [100 * np.mean(counts) / score.evaluation.shape.queries for counts in score.correct_by_step or ()]
    axes.plot(range(len(means)), means, dash, marker="o", color=colour, markersize=3, linewidth=1.2, label=trial.kind)


@default_style()
def cells_figure(rows: Sequence[CellRow], path: Path, *, title: str) -> Path:
    """Published and reproduced accuracy of every cell, each with its 95% interval over episodes where it has one."""
    figure = Figure(figsize=(8, 1.4 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(rows):
        place = len(rows) - 1 - index
        _dot(axes, row.published, row.published_ci95, place + 0.13, _THEIRS, "s")
        _dot(axes, row.reproduced, row.ci95_episodes, place - 0.13, _OURS, "o")
    axes.plot([], [], "s", color=_THEIRS, label="published")
    axes.plot([], [], "o", color=_OURS, label="reproduced")
    labels = [f"{row.form}\n{row.dataset} {row.way}-way {row.shot}-shot" for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set(xlabel="accuracy (%), 95% interval over episodes", ylim=(-0.6, len(rows) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    _head(figure, title)
    return write_figure(figure, path)


def _dot(axes: Axes, value: float | None, half: float | None, place: float, colour: str, marker: str) -> None:
    if value is not None:
        axes.errorbar(value, place, xerr=half, fmt=marker, color=colour, markersize=5, capsize=3)


@default_style()
def episode_figure(support: np.ndarray, query: np.ndarray, path: Path, *, title: str) -> Path:
    """One episode: a row a class, its support images left of the line, its query images right of it.

    ``support``: ``[way, shot, C, H, W]``; ``query``: ``[way, query, C, H, W]``; both in 0..1.
    """
    way, shot = support.shape[:2]
    shown = np.concatenate([support, query], axis=1)
    tiles = shown.transpose(0, 3, 1, 4, 2).reshape(way * shown.shape[3], shown.shape[1] * shown.shape[4], shown.shape[2])
    figure = Figure(figsize=(0.45 * shown.shape[1] + 0.6, 0.45 * way + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(tiles.squeeze(2) if tiles.shape[2] == 1 else tiles, cmap="gray_r", vmin=0, vmax=1)
    axes.axvline(shot * shown.shape[4] - 0.5, color=_THEIRS, linewidth=1.5)
    axes.set_xticks([]), axes.set_yticks([])
    axes.set_title(title, fontsize=8)
    return write_figure(figure, path)


def _head(figure: Figure, title: str) -> None:
    """Writes the title above the panels, in as many lines as the width needs."""
    figure.suptitle(textwrap.fill(title, int(9 * figure.get_figwidth())))
