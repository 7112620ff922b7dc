"""Prepares the two sides of a verdict, and estimates errors that a source does not print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.report.episode_spread import EpisodeSpread, widest_variance
from orchestrator.report.margins import Assumptions
from orchestrator.report.published import PublishedCell
from orchestrator.report.score import CellScore
from orchestrator.report.seed_spread import SeedSpread, Trainings, chosen_spread, pooled
from orchestrator.report.verdict import Printed
from orchestrator.sweep.plan import Cell

AlgorithmOnData = tuple[str, str]
"""A data set and an algorithm: their cells have about the same spread over trainings, in logits."""


def table_spreads(scored: Iterable[tuple[Cell, CellScore]]) -> Mapping[AlgorithmOnData, SeedSpread]:
    """The spread over trainings of each algorithm and data set of a table in which some cell has two seeds.

    Cells with the same trainings count once, with the widest spread among them; untrained networks do not count.
    """
    widest: dict[AlgorithmOnData, dict[tuple[str, ...], Trainings]] = {}
    for cell, score in scored:
        found = score.trainings
        if found is None or not cell.settings.steps:
            continue
        of_kind = widest.setdefault((cell.dataset, cell.algorithm), {})
        same = tuple(recipe.fingerprint for recipe in cell.recipes)
        of_kind[same] = max(found, of_kind.get(same, found), key=lambda each: each.spread.logits)
    spreads = {kind: pooled([*trainings.values()], "table") for kind, trainings in widest.items()}
    return {kind: spread for kind, spread in spreads.items() if spread is not None}


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The published side, the spread over trainings of both sides, and in words what was ``assumed`` for lack of a number."""

    printed: Printed
    spread: SeedSpread | None
    assumed: tuple[str, ...]


def sides(
    cell: Cell, score: CellScore, published: PublishedCell, table: Mapping[AlgorithmOnData, SeedSpread], assumptions: Assumptions
) -> Sides:
    """The inputs of the verdict on a cell with a score."""
    prior = assumptions.spread(cell.dataset, cell.algorithm)
    spread = chosen_spread(score.trainings, table.get((cell.dataset, cell.algorithm)), prior)
    ours = published.accuracy if score.reproduced is None else score.reproduced
    answers = score.answers or assumptions.answers.get(cell.dataset, EpisodeSpread(0.0))
    printed = printed_side(published, ours, answers, assumptions)
    return Sides(printed=printed, spread=spread, assumed=tuple(_assumed(published, printed, spread, assumptions)))


def printed_side(published: PublishedCell, ours: float, answers: EpisodeSpread, assumptions: Assumptions) -> Printed:
    """A published number with the error of its episodes, as printed or else estimated from the spread of our answers.

    The variance of an answer is the larger one at ``ours`` and theirs, because equal true accuracies have equal variances.
    """
    query = published.settings.get("query")
    error = answers.standard_error(
        widest_variance(ours, published.accuracy),
        episodes=published.episodes or assumptions.episodes,
        answers=published.way * (query if isinstance(query, int) else assumptions.query),
    )
    return Printed(
        accuracy=published.accuracy,
        ci95=published.ci95,
        decimals=published.decimals,
        se_episodes=error,
        std_seeds=published.std_seeds,
        seeds=published.seeds,
    )


def _assumed(published: PublishedCell, printed: Printed, spread: SeedSpread | None, assumptions: Assumptions) -> Iterable[str]:
    if spread is not None and spread.origin == "prior":
        yield "how far trainings lie apart is taken from other sources, for want of seeds"
    shown = published.ci95 is not None or printed.of_several_trainings
    if not shown and (published.episodes is None or "query" not in published.settings):
        test = f"{published.episodes or assumptions.episodes} test episodes of {published.settings.get('query', assumptions.query)} queries"
        yield f"{test} a class are taken for granted, of which the source does not state all"
