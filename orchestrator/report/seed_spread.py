"""How far trainings that differ in their seed alone lie apart: from a cell's own seeds, its table's, or what others measured."""

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
"""A cell with so many seeds needs no other's: an interval by its own spread is a seventh wider than were that spread known."""
ENOUGH_FREEDOM = 4.0
"""Fewer degrees of freedom than this, such as those of one cell's 3 seeds, say less than what others measured."""

Origin = Literal["cell", "table", "prior"]


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """A standard deviation over trainings, known with so many degrees of ``freedom``.

    ``logits``: of the accuracy's logit, ``log p / (1 - p)``, which is what cells of unlike difficulty have most nearly in common: a seed
    that loses a tenth of the errors' odds moves 99% by 0.1 points and 50% by 2.5.
    """

    logits: float
    freedom: float
    origin: Origin

    def points(self, variance: float) -> float:
        """The deviation in points of an accuracy whose single answers have this ``variance``, the logit's slope at it."""
        return 100 * self.logits * variance

    def with_further(self, seeds: int) -> SeedSpread:
        """The same spread seen over further seeds; what others measured is not known better by them."""
        return self if self.origin == "prior" else dataclasses.replace(self, freedom=self.freedom + seeds)


@dataclass(frozen=True, kw_only=True)
class Trainings:
    """Trainings of one recipe, or others' of one method: their mean accuracy and its standard deviation over ``seeds``, in percent."""

    accuracy: float
    std: float
    seeds: int

    @property
    def spread(self) -> SeedSpread:
        """What these alone say."""
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
    """The spread that a verdict counts: the cell's own where it has enough seeds, else its table's, else what others measured.

    A cell that is clearly wider than what it would be lent (Fisher's F at 95%) keeps its own, however few its seeds. None: nothing
    is known.
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
    """By what factor a variance is larger than another one by chance in one of twenty cases."""
    return fisher_quantile(0.95, freedom, lent)
