"""How far the accuracy in one episode lies from that in another, and what that makes of a number from other episodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LEAST_VARIANCE = 1e-4
"""Of one answer: an accuracy of 100% or 0% is only as sure as one wrong answer in 10,000 would leave it."""


def answer_variance(accuracy: float) -> float:
    """The variance ``p (1 - p)`` of one answer that is right with the probability ``accuracy``, in percent: in 0..0.25."""
    share = min(max(accuracy / 100, 0.0), 1.0)
    return max(share * (1 - share), _LEAST_VARIANCE)


def widest_variance(*accuracies: float) -> float:
    """That of the accuracy nearest to one half: what two numbers have whose true accuracies are equal, to the safe side."""
    return max(map(answer_variance, accuracies))


@dataclass(frozen=True)
class EpisodeSpread:
    """How the answers of one episode hang together: the ``correlation`` of two of them, 0 were each an episode of its own.

    An episode's classes and support images make all its answers right or wrong together, so that ``n`` answers of one episode vary by
    ``p (1 - p) (1 + (n - 1) correlation) / n``: the beta-binomial variance.
    """

    correlation: float

    def standard_error(self, variance: float, *, episodes: int, answers: int) -> float:
        """The standard error of an accuracy over so many episodes of so many answers each, in points; ``variance``: of one answer."""
        return 100 * math.sqrt(variance * (1 + (answers - 1) * self.correlation) / answers / episodes)


def measured_spread(accuracy: float, deviation: float, answers: int) -> EpisodeSpread:
    """The spread that gives episodes of so many answers a standard ``deviation`` in points; never a negative correlation."""
    inflation = (deviation / 100) ** 2 * answers / answer_variance(accuracy)
    return EpisodeSpread(max((inflation - 1) / (answers - 1), 0.0) if answers > 1 else 0.0)
