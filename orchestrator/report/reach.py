"""Predicts which verdicts a plan can reach: a cell with errors wider than its margin is never `reproduced`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.report.episode_spread import EpisodeSpread, answer_variance
from orchestrator.report.margins import Assumptions
from orchestrator.report.protocol import differences
from orchestrator.report.published import PublishedCell, Registries
from orchestrator.report.seed_spread import ENOUGH_FREEDOM, OWN_SEEDS, SeedSpread
from orchestrator.report.sides import AlgorithmOnData, printed_side
from orchestrator.report.verdict import Measured, interval
from orchestrator.sweep.plan import Cell, Plan

_NO_SPREAD = SeedSpread(logits=0.0, freedom=ENOUGH_FREEDOM, origin="prior")


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Half the 95% interval, in points, of a planned cell's verdict if our number equals the published one.

    ``episodes``: a lower bound from both sides' test episodes and the rounding alone; without a printed interval, the answers of an
    episode count as independent. ``whole``: includes the trainings of both sides, with the spread that other sources measured and the
    degrees of freedom of the planned seeds; None where that spread is unknown.
    """

    cell: str
    published: str
    margin: float
    episodes: float
    whole: float | None

    @property
    def never(self) -> bool:
        """Whether no score and no number of seeds can make the cell `reproduced`."""
        return self.episodes > self.margin

    @property
    def unlikely(self) -> bool:
        """Whether the cell can be `reproduced`, but not with the measured spread of others and the planned seeds."""
        return not self.never and self.whole is not None and self.whole > self.margin


def reaches(plan: Plan, registries: Registries) -> tuple[Reach, ...]:
    """The reach of each cell whose verdict will depend on its numbers, in the plan's order."""
    if plan.spec.short:
        return ()
    freedom = _planned_freedom(plan)
    found = (_reach(plan, cell, registries, freedom) for cell in plan.cells)
    return tuple(reach for reach in found if reach is not None)


def _reach(plan: Plan, cell: Cell, registries: Registries, freedom: Mapping[AlgorithmOnData, int]) -> Reach | None:
    published = registries.find(plan.spec.compared_with(cell.settings), cell.settings)
    margin = registries.margin(cell.settings)
    answers = registries.assumptions.answers.get(cell.dataset)
    if published is None or margin is None or answers is None:
        return None
    if any(difference.weight != "noted" for difference in differences(cell.settings, published)):
        return None
    spread = _planned_spread(cell, registries.assumptions, freedom.get((cell.dataset, cell.algorithm), 0))
    episodes = _half(cell, published, EpisodeSpread(0.0), registries.assumptions, _NO_SPREAD)
    whole = None if spread is None else _half(cell, published, answers, registries.assumptions, spread)
    return Reach(cell=cell.name, published=published.label, margin=margin, episodes=episodes, whole=whole)


def _half(cell: Cell, published: PublishedCell, answers: EpisodeSpread, assumptions: Assumptions, spread: SeedSpread) -> float:
    ours = Measured(
        accuracy=published.accuracy,
        seeds=len(cell.recipes),
        episodes=cell.evaluation.episodes,
        std_seeds=None,
        se_episodes=answers.standard_error(
            answer_variance(published.accuracy),
            episodes=cell.evaluation.episodes,
            answers=cell.evaluation.shape.queries,
        ),
    )
    return interval(ours, printed_side(published, published.accuracy, answers, assumptions), spread)[1]


def _planned_freedom(plan: Plan) -> Mapping[AlgorithmOnData, int]:
    """The degrees of freedom that the table will have for each spread of algorithm and data set; a training counts once."""
    trainings = {
        (cell.dataset, cell.algorithm, tuple(recipe.fingerprint for recipe in cell.recipes))
        for cell in plan.cells
        if cell.settings.steps
    }
    freedom: dict[AlgorithmOnData, int] = {}
    for dataset, algorithm, seeds in trainings:
        freedom[dataset, algorithm] = freedom.get((dataset, algorithm), 0) + len(seeds) - 1
    return freedom


def _planned_spread(cell: Cell, assumptions: Assumptions, of_table: int) -> SeedSpread | None:
    """The spread that others measured, with its future degrees of freedom by the rule of :func:`seed_spread.chosen_spread`."""
    prior, seeds = assumptions.spread(cell.dataset, cell.algorithm), len(cell.recipes)
    if prior is None:
        return None
    if seeds >= OWN_SEEDS:
        return dataclasses.replace(prior, freedom=seeds - 1)
    return prior if of_table < ENOUGH_FREEDOM else dataclasses.replace(prior, freedom=of_table)
