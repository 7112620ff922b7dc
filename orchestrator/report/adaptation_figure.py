"""Plots accuracy after each adaptation step of an adapting algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fsl_core.episodes.statistics import confidence_interval_95, mean
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.result import EvaluationResult
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.canvas import Axes, Figure, MaxNLocator, default_style, wrapped, write_figure, write_title
from orchestrator.report.line_styles import DASHES, UNTRAINED, line_style
from orchestrator.report.row_text import head
from orchestrator.sweep.plan import Plan, PlannedTrial

_PANELS_A_ROW = 3
_PANEL = (4.8, 3.8)
_LABEL_CHARACTERS = 60
_LEGEND = "a line a seed"

Score = tuple[PlannedTrial, EvaluationResult]
Style = tuple[str, str]
"""A colour and a dash."""


@default_style()
def adaptation_figure(plan: Plan, records: Mapping[str, TrialRecord], path: Path) -> Path | None:
    """Plots accuracy against adaptation steps, with its 95% interval over episodes: a panel per data set and shape, a line per score.

    All panels share their axes. None where no adapted score exists yet.
    """
    scores = _scores(plan, records)
    panels = list(dict.fromkeys(_panel(score) for score in scores))
    if not panels:
        return None
    styles = _styles(scores)
    labels = {kind: wrapped(kind, _LABEL_CHARACTERS) for kind in styles}
    across, down = min(len(panels), _PANELS_A_ROW), -(-len(panels) // _PANELS_A_ROW)
    beneath = 0.5 + 0.17 * sum(label.count("\n") + 1 for label in labels.values()) / across
    figure = Figure(figsize=(_PANEL[0] * across, _PANEL[1] * down + beneath), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel, [score for score in scores if _panel(score) == panel], styles)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    handles = [grid[0, 0].plot([], [], dash, marker="o", markersize=3, color=colour)[0] for colour, dash in styles.values()]
    figure.legend(
        handles,
        list(labels.values()),
        loc="outside lower left",
        ncols=across,
        fontsize=8,
        title=_LEGEND,
        title_fontsize=8,
        alignment="left",
    )
    write_title(figure, "\n".join(head(plan.spec)))
    return write_figure(figure, path)


def _scores(plan: Plan, records: Mapping[str, TrialRecord]) -> list[Score]:
    found = []
    for trial in plan.trials:
        known = records.get(trial.fingerprint)
        for each in _longest(trial.evaluations) if known else ():
            score = known.evaluations.get(each.fingerprint) if known else None
            if score is not None and each.adaptation_steps and score.correct_by_step is not None:
                found.append((trial, score))
    return found


def _longest(evaluations: Sequence[Evaluation]) -> Sequence[Evaluation]:
    """The evaluation with the most adaptation steps of each shape and mode: it includes the accuracies after fewer steps."""
    by_shape = {(each.shape, each.inductive): each for each in sorted(evaluations, key=lambda each: each.adaptation_steps or 0)}
    return tuple(by_shape.values())


def _panel(score: Score) -> str:
    trial, result = score
    shape = result.evaluation.shape
    return f"{trial.recipe.data.dataset}, {shape.way}-way {shape.shot}-shot"


def _line(score: Score) -> str:
    """The name of a line's style: the kind of trial, and whether it is scored inductively."""
    trial, result = score
    return f"{trial.kind}, inductive" if result.evaluation.inductive else trial.kind


def _styles(scores: Sequence[Score]) -> dict[str, Style]:
    """The style of every kind of line: the first of each order has that order's colour; untrained networks are grey."""
    styles: dict[str, Style] = {}
    seen = {1: 0, 2: 0}
    untrained = 0
    for score in scores:
        line, trial = _line(score), score[0]
        if line in styles:
            continue
        if not trial.recipe.steps:
            styles[line] = (UNTRAINED, DASHES[(2 + untrained) % len(DASHES)])
            untrained += 1
            continue
        order = getattr(trial.recipe.algorithm, "order", 1)
        styles[line] = line_style(order - 1 + 2 * seen[order])
        seen[order] += 1
    return styles


def _draw_panel(axes: Axes, panel: str, scores: Sequence[Score], styles: Mapping[str, Style]) -> None:
    for score in scores:
        _draw_line(axes, score[1], *styles[_line(score)])
    axes.set(xlabel="adaptation steps", ylabel="accuracy (%), 95% interval\nover episodes", title=panel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.tick_params(labelbottom=True, labelleft=True)


def _draw_line(axes: Axes, score: EvaluationResult, colour: str, dash: str) -> None:
    accuracies = 100 * np.array(score.correct_by_step) / score.evaluation.shape.queries
    middles = [mean(of_step) for of_step in accuracies.tolist()]
    halves = [confidence_interval_95(of_step) for of_step in accuracies.tolist()]
    axes.errorbar(range(len(middles)), middles, yerr=halves, fmt=f"o{dash}", color=colour, markersize=3, linewidth=1.2, capsize=3)
