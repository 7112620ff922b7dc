"""Estimates the spread of trainings that differ only in their seed, from a cell's seeds, its table's, or other sources."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from orchestrator.report.distributions import fisher_quantile
from orchestrator.report.episode_spread import answer_variance

OWN_SEEDS = 10
"""With so many seeds a cell uses its own spread: its interval is only a seventh wider than with the true spread."""
ENOUGH_FREEDOM = 4.0
"""With fewer degrees of freedom, such as those of one cell's 3 seeds, other sources are more reliable."""

Origin = Literal["cell", "table", "prior"]


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """A standard deviation over trainings, with its degrees of ``freedom``.

    ``logits``: the deviation of the accuracy's logit, ``log p / (1 - p)``, which varies least between cells of different difficulty: a
    seed that changes the odds of errors by a tenth moves 99% by 0.1 points and 50% by 2.5.
    """

    logits: float
    freedom: float
    origin: Origin

    def points(self, variance: float) -> float:
        """The deviation in points of an accuracy whose answers have this ``variance``, which is the slope of the logit's inverse."""
        return 100 * self.logits * variance

    def with_further(self, seeds: int) -> SeedSpread:
        """The same spread estimated from further seeds, which do not improve an estimate of other sources."""
        return self if self.origin == "prior" else dataclasses.replace(self, freedom=self.freedom + seeds)


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """Trainings of one recipe or published method: their mean accuracy and its standard deviation over ``seeds``, in percent."""

    accuracy: float
    std: float
    seeds: int

    @property
    def spread(self) -> SeedSpread:
        """The spread of these trainings alone."""
        logits = self.std / 100 / answer_variance(self.accuracy)
        return SeedSpread(logits=logits, freedom=self.seeds - 1, origin="cell")


def pooled(trainings: Sequence[Trainings], origin: Origin) -> SeedSpread | None:
    """The root mean square of several spreads, each weighted by its degrees of freedom; None where there is none."""
    spreads = [each.spread for each in trainings if each.seeds > 1]
    freedom = sum(spread.freedom for spread in spreads)
    if not freedom:
        return None
    square = math.fsum(spread.freedom * spread.logits**2 for spread in spreads) / freedom
    return SeedSpread(logits=math.sqrt(square), freedom=freedom, origin=origin)


def chosen_spread(own: Trainings | None, table: SeedSpread | None, prior: SeedSpread | None) -> SeedSpread | None:
    """The spread for a verdict: the cell's own where it has enough seeds, else its table's, else that of other sources.

    A cell with a clearly wider spread than the substitute (Fisher's F at 95%) keeps its own, even with few seeds. None: the spread is
    unknown.
    """
    alone = own.spread if own is not None and own.seeds > 1 else None
    if own is not None and own.seeds >= OWN_SEEDS:
        return alone
    lent = table if table is not None and table.freedom >= ENOUGH_FREEDOM else prior
    if alone is None or lent is None:
        return lent or alone
    return alone if alone.logits**2 > _clearly_wider(alone.freedom, lent.freedom) * lent.logits**2 else lent


@cache
def _clearly_wider(freedom: float, lent: float) -> float:
    """The factor by which a variance exceeds an equal one by chance in one of twenty cases."""
    return fisher_quantile(0.95, freedom, lent)
