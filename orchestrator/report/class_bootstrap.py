"""An open interval: what another draw of test classes would change, not only other episodes of the same classes.

The interval that papers print is a closed one: the classes stay, their episodes are sampled again (Lafargue et al., TMLR 2024, arXiv
2409.02850). Here classes are resampled with replacement. An episode would weigh by the product of how often each of its classes was
resampled; few episodes would be left of a small test set, so the product's linear part is taken: one more of a class is one more share of
every episode that it is in, as the class asked for and as one that others are taken for. (Weighing a class by its own queries alone
leaves out the latter: where classes are confused with each other, such an interval is half as wide as it should be.)
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
        accuracies: float64 ``[E]``, of each episode, or the difference of two rows in each.
        classes: int64 ``[E, way]``, the classes of each episode by any numbers. A character and its turns are one class.

    Returns:
        None where there are no more classes than an episode has, so that none can be left out.
    """
    episodes, way = classes.shape
    number, count = _numbered(classes)
    if count <= way or episodes < 2:
        return None
    total = float(accuracies.var(ddof=1))
    held = np.zeros((episodes, count))  # how many of its classes each episode has of each: a character may be there in two turns
    np.add.at(held, (np.arange(episodes)[:, None], number), 1.0)
    # Whoever has a class is short of a place for the others: without the factor an effect of a class would look smaller than it is.
    influence = (count - 1) / (count - way) * ((accuracies - accuracies.mean()) @ held) / episodes
    resampled = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    spread = float((resampled @ influence).var(ddof=1)) * count / (count - 1)
    between = _without_luck(spread, total, held, way, count)
    return student_quantile(0.975, count - 1) * math.sqrt(between + total / episodes)


def _numbered(classes: np.ndarray) -> tuple[np.ndarray, int]:
    """The same classes by numbers from 0, and how many there are."""
    present, number = np.unique(classes, return_inverse=True)
    return number.reshape(classes.shape), len(present)


def _without_luck(spread: float, total: float, held: np.ndarray, way: int, count: int) -> float:
    """The variance that the classes cause, of what the replicates show: a class also looks hard by the luck of its episodes.

    That luck has the variance of episodes of one class: the ``total`` less what the class explains, which is the answer itself.
    """
    episodes = len(held)
    inside = held.sum(axis=0)
    luck = ((count - 1) / (count - way)) ** 2 * float((inside * (1 - inside / episodes)).sum()) / episodes**2
    return max(0.0, spread - luck * total) / max(0.1, 1 - luck * count / way**2)
