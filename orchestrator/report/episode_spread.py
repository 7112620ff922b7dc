"""Models the spread of accuracy over episodes, and the standard error that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LEAST_VARIANCE = 1e-4
"""The least variance of an answer: 100% and 0% count as one wrong answer, or one right, in 10,000."""


def answer_variance(accuracy: float) -> float:
    """The variance ``p (1 - p)``, in 0..0.25, of an answer that is right with the probability ``accuracy``, in percent."""
    share = min(max(accuracy / 100, 0.0), 1.0)
    return max(share * (1 - share), _LEAST_VARIANCE)


def widest_variance(*accuracies: float) -> float:
    """The variance at the accuracy nearest to one half: a safe value for numbers with equal true accuracies."""
    return max(map(answer_variance, accuracies))


@dataclass(frozen=True)
class EpisodeSpread:
    """The ``correlation`` of two answers of one episode; 0 if each were an episode of its own.

    An episode's classes and support images affect all its answers, so the mean of ``n`` answers has the beta-binomial variance
    ``p (1 - p) (1 + (n - 1) correlation) / n``.
    """

    correlation: float

    def standard_error(self, variance: float, *, episodes: int, answers: int) -> float:
        """The standard error of an accuracy over so many episodes of so many answers each, in points; ``variance``: of one answer."""
        return 100 * math.sqrt(variance * (1 + (answers - 1) * self.correlation) / answers / episodes)


def measured_spread(accuracy: float, deviation: float, answers: int) -> EpisodeSpread:
    """The spread under which episodes of so many answers have this standard ``deviation``, in points; never negative."""
    inflation = (deviation / 100) ** 2 * answers / answer_variance(accuracy)
    return EpisodeSpread(max((inflation - 1) / (answers - 1), 0.0) if answers > 1 else 0.0)
