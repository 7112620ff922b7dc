"""Computes an open interval: it covers other test classes, not only other episodes of the same classes.

Papers print a closed interval: the classes are fixed and their episodes are resampled (Lafargue et al., TMLR 2024, arXiv 2409.02850).
Here classes are resampled with replacement. An episode's weight would be the product of its classes' counts, which leaves few episodes of
a small test set, so only the linear part of the product is used: each further copy of a class adds one share of every episode with that
class, for its own queries and for the queries confused with it. (Weighting a class by its own queries alone omits the latter: where
classes are confused with each other, such an interval is half as wide as it should be.)
"""

from __future__ import annotations

import math

import numpy as np

from orchestrator.report.distributions import student_quantile

_RESAMPLES = 2000
_SEED = 0


def ci95_classes(accuracies: np.ndarray, classes: np.ndarray) -> float | None:
    """Half the 95% interval of a mean accuracy for other test classes and other episodes, in the unit of the accuracies.

    Args:
        accuracies: float64 ``[E]``, the accuracy of each episode, or the difference of two rows in it.
        classes: int64 ``[E, way]``, arbitrary numbers of each episode's classes. A character and its turns are one class.

    Returns:
        None where every episode has all classes, so that none can be left out.
    """
    episodes, way = classes.shape
    number, count = _numbered(classes)
    if count <= way or episodes < 2:
        return None
    total = float(accuracies.var(ddof=1))
    held = np.zeros((episodes, count))  # each episode's count of each class: it may have two turns of a character
    np.add.at(held, (np.arange(episodes)[:, None], number), 1.0)
    # A class takes a place from the others: without this factor its effect would be underestimated.
    influence = (count - 1) / (count - way) * ((accuracies - accuracies.mean()) @ held) / episodes
    resampled = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    spread = float((resampled @ influence).var(ddof=1)) * count / (count - 1)
    between = _without_luck(spread, total, held, way, count)
    return student_quantile(0.975, count - 1) * math.sqrt(between + total / episodes)


def _numbered(classes: np.ndarray) -> tuple[np.ndarray, int]:
    """The classes renumbered from 0, and their count."""
    present, number = np.unique(classes, return_inverse=True)
    return number.reshape(classes.shape), len(present)


def _without_luck(spread: float, total: float, held: np.ndarray, way: int, count: int) -> float:
    """The part of the replicates' variance that the classes cause. The rest is luck: a class also looks hard because of its episodes.

    Luck has the variance of episodes of one class: the ``total`` less the part that the class explains, which is the answer itself.
    """
    episodes = len(held)
    inside = held.sum(axis=0)
    luck = ((count - 1) / (count - way)) ** 2 * float((inside * (1 - inside / episodes)).sum()) / episodes**2
    return max(0.0, spread - luck * total) / max(0.1, 1 - luck * count / way**2)
