"""How often a verdict is decisive and wrong: two sides whose expected accuracies over trainings are equal, simulated.

Both sides answer beta-binomial episodes; trainings lie normally around one mean. What the sides show of themselves, and no more, goes
through the very functions that make a table's verdicts.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import betabinom

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.episode_spread import answer_variance, measured_spread
from orchestrator.report.margins import Assumptions
from orchestrator.report.published import PublishedCell, Registries, load_registries
from orchestrator.report.seed_spread import SeedSpread, Trainings, chosen_spread, pooled
from orchestrator.report.sides import printed_side
from orchestrator.report.verdict import Measured, Printed, decide
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Cell, build_plan

SWEEPS = Path(__file__).parents[3] / "sweeps"
SEEDS = (1, 3, 10)
Reals = NDArray[np.float64]
Rule = Callable[["Pair", Measured, PublishedCell, float, list[Trainings]], str | None]


@dataclass(frozen=True)
class Pair:
    """A published number and the way a cell that stands beside it is scored.

    ``others``: how many further trainings of the algorithm and data set the sweep has at least; ``queries``: answers an episode of ours.
    """

    published: PublishedCell
    assumptions: Assumptions
    queries: int
    episodes: int
    margin: float
    others: int

    @property
    def name(self) -> str:
        """The number in words."""
        number = self.published
        variant = " ".join(str(value) for value in number.variant.values())
        return f"{number.registry}, {number.table}: {number.algorithm} {variant} {number.dataset} {number.way}-way {number.shot}-shot"

    @property
    def theirs(self) -> tuple[int, int]:
        """Their test: its episodes and the answers of one."""
        query = self.published.settings.get("query", self.assumptions.query)
        assert isinstance(query, int)
        return self.published.episodes or self.assumptions.episodes, self.published.way * query


@cache
def shipped_pairs() -> tuple[Pair, ...]:
    """One for each published number and way of scoring that a sweep of this project sets beside each other."""
    registries = load_registries(SWEEPS / "published")
    found: dict[tuple[object, ...], Pair] = {}
    for path in sorted(SWEEPS.glob("*.yaml")):
        for pair in _pairs_of(path, registries):
            number = pair.published
            key = (number.accuracy, number.ci95, number.std_seeds, number.algorithm, number.dataset, *pair.theirs, number.shot)
            key = (*key, pair.queries, pair.episodes)
            known = found.setdefault(key, pair)
            found[key] = min(known, pair, key=lambda each: each.others)
    return tuple(found.values())


def _pairs_of(path: Path, registries: Registries) -> Iterator[Pair]:
    plan = build_plan(load_sweep(path))
    for cell in plan.cells:
        margin = registries.margin(cell.settings)
        for source in plan.spec.compared_with(cell.settings):
            number = registries.find([source], cell.settings)
            if number is not None and margin is not None:
                shape = cell.evaluation.shape
                others = len(_trainings_like(cell, plan.cells)) - 1
                yield Pair(number, registries.assumptions, shape.queries, cell.evaluation.episodes, margin, others)


def _trainings_like(cell: Cell, cells: Iterable[Cell]) -> set[str]:
    return {each.recipes[0].fingerprint for each in cells if (each.algorithm, each.dataset) == (cell.algorithm, cell.dataset)}


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is true of both sides.

    ``apart``: ours minus theirs, in points. ``uncertain``: the deviation over trainings is not what is assumed but drawn anew for each
    pair, from what the assumption's degrees of freedom leave open.
    """

    apart: float = 0.0
    uncertain: bool = False

    def seed_stds(self, pair: Pair, draws: int, random: np.random.Generator) -> Reals:
        """The true deviation over trainings in each draw."""
        assumed = pair.assumptions.spread(pair.published.dataset, pair.published.algorithm)
        assert assumed is not None
        freedom = assumed.freedom
        factors = np.sqrt(freedom / random.chisquare(freedom, draws)) if self.uncertain else np.ones(draws)
        return assumed.points(answer_variance(pair.published.accuracy)) * factors


def simulated(
    pair: Pair, seeds: int, random: np.random.Generator, *, draws: int, truth: Truth | None = None, rule: Rule | None = None
) -> Counter[str]:
    """How often a rule, by default that of tables, says what."""
    truth = truth or Truth()
    stds = truth.seed_stds(pair, draws, random)
    measured, deviations = _ours(pair, seeds, stds, truth.apart, random)
    sides = zip(measured, _theirs(pair, stds, random), deviations, _tables(pair, seeds, stds, random), strict=True)
    return Counter((rule or todays_rule)(pair, *each) or "inconclusive" for each in sides)


def _tested(pair: Pair, episodes: int, answers: int, draws: int, random: np.random.Generator) -> tuple[Reals, Reals]:
    """The mean accuracy over the episodes of so many tests at equal truth, and the deviation of an episode's accuracy."""
    right = np.arange(answers + 1) / answers * 100
    counts = random.multinomial(episodes, _chances(pair, answers), size=draws)
    mean = counts @ right / episodes
    squares = counts @ right**2 / episodes - mean**2
    return mean, np.sqrt(np.maximum(squares, 0) * episodes / (episodes - 1))


def _chances(pair: Pair, answers: int) -> Reals:
    number = pair.published
    return _beta_binomial(number.accuracy / 100, pair.assumptions.answers[number.dataset].correlation, answers)


@cache
def _beta_binomial(accuracy: float, correlation: float, answers: int) -> Reals:
    weight = 1 / correlation - 1
    chances: Reals = betabinom.pmf(np.arange(answers + 1), answers, accuracy * weight, (1 - accuracy) * weight)
    return chances / chances.sum()


def _ours(pair: Pair, seeds: int, stds: Reals, apart: float, random: np.random.Generator) -> tuple[list[Measured], list[float]]:
    draws = len(stds)
    episodes, deviations = _tested(pair, pair.episodes, pair.queries, draws, random)
    trained = stds[:, None] * random.standard_normal((draws, seeds))
    means = np.clip(episodes + apart + trained.mean(axis=1), 0, 100)
    spreads = trained.std(axis=1, ddof=1) if seeds > 1 else np.zeros(draws)
    measured = [
        Measured(
            accuracy=float(mean),
            seeds=seeds,
            episodes=pair.episodes,
            se_episodes=float(deviation) / math.sqrt(pair.episodes),
            std_seeds=float(spread) if seeds > 1 else None,
        )
        for mean, deviation, spread in zip(means, deviations, spreads, strict=True)
    ]
    return measured, [float(deviation) for deviation in deviations]


def _theirs(pair: Pair, stds: Reals, random: np.random.Generator) -> list[PublishedCell]:
    """The number as their source would have printed it."""
    number, draws = pair.published, len(stds)
    tests = [_tested(pair, *pair.theirs, draws, random) for _ in range(number.seeds or 1)]
    accuracies = np.stack([mean + stds * random.standard_normal(draws) for mean, _ in tests])
    means = np.clip(accuracies.mean(axis=0), 0, 100)
    halves = Z_95 * tests[0][1] / math.sqrt(pair.theirs[0])
    spreads = accuracies.std(axis=0, ddof=1) if len(tests) > 1 else np.zeros(draws)
    return [
        dataclasses.replace(
            number,
            accuracy=round(float(mean), number.decimals),
            ci95=None if number.ci95 is None else _printed_half(float(half), number.decimals),
            std_seeds=None if number.std_seeds is None else round(float(spread), number.decimals),
        )
        for mean, half, spread in zip(means, halves, spreads, strict=True)
    ]


def _printed_half(half: float, decimals: int) -> float:
    return max(round(half, decimals), 10.0**-decimals)


def _tables(pair: Pair, seeds: int, stds: Reals, random: np.random.Generator) -> list[list[Trainings]]:
    """What the table's other trainings show of their spread."""
    if seeds < 2 or not pair.others:
        return [[] for _ in stds]
    shown = stds[:, None] * np.sqrt(random.chisquare(seeds - 1, (len(stds), pair.others)) / (seeds - 1))
    return [[Trainings(accuracy=pair.published.accuracy, std=float(each), seeds=seeds) for each in row] for row in shown]


def todays_rule(pair: Pair, ours: Measured, theirs: PublishedCell, deviation: float, table: list[Trainings]) -> str | None:
    """The verdict as tables have it."""
    return decide(ours, _printed(pair, ours, theirs, deviation), pair.margin, _spread(pair, ours, table))


def rule_without_trainings(
    pair: Pair, ours: Measured, theirs: PublishedCell, deviation: float, table: list[Trainings]
) -> str | None:
    """As if all trainings came to one accuracy."""
    spread = _spread(pair, ours, table)
    none = None if spread is None else dataclasses.replace(spread, logits=0.0)
    return decide(ours, _printed(pair, ours, theirs, deviation), pair.margin, none)


def rule_without_their_episodes(
    pair: Pair, ours: Measured, theirs: PublishedCell, deviation: float, table: list[Trainings]
) -> str | None:
    """As if a number without an interval were of endless episodes."""
    printed = dataclasses.replace(_printed(pair, ours, theirs, deviation), se_episodes=0.0)
    return decide(ours, printed, pair.margin, _spread(pair, ours, table))


def _printed(pair: Pair, ours: Measured, theirs: PublishedCell, deviation: float) -> Printed:
    answers = measured_spread(ours.accuracy, deviation, pair.queries)
    return printed_side(theirs, ours.accuracy, answers, pair.assumptions)


def _spread(pair: Pair, ours: Measured, table: list[Trainings]) -> SeedSpread | None:
    own = None
    if ours.std_seeds is not None:
        own = Trainings(accuracy=ours.accuracy, std=ours.std_seeds, seeds=ours.seeds)
    of_table = pooled([*table, *([own] if own else [])], "table")
    return chosen_spread(own, of_table, pair.assumptions.spread(pair.published.dataset, pair.published.algorithm))


def rule_without_their_errors(
    pair: Pair, ours: Measured, theirs: PublishedCell, deviation: float, table: list[Trainings]
) -> str | None:
    """The rule of the first edition: of a number without an interval the rounding alone, of trainings our own seeds' spread alone."""
    variance = ours.se_episodes**2
    variance += (theirs.ci95 / Z_95) ** 2 if theirs.ci95 is not None else (0.5 * 10.0**-theirs.decimals) ** 2 / 3
    seeds = (ours.std_seeds or 0.0) ** 2 / ours.seeds
    variance += seeds
    freedom = (ours.seeds - 1) * (variance / seeds) ** 2 if seeds else math.inf
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance)
    difference = ours.accuracy - theirs.accuracy
    if abs(difference) - half > pair.margin:
        return "above" if difference > 0 else "below"
    return "reproduced" if abs(difference) + half <= pair.margin else None
