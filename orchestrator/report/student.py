"""Computes the interval and the p-value of a difference with independent errors, of which some are poorly known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from orchestrator.report.distributions import student_quantile, student_tail


@dataclass(frozen=True)
class Error:
    """One source of error: its ``variance`` in squared points, and its degrees of ``freedom`` (infinite: known exactly)."""

    variance: float
    freedom: float = math.inf


def half_interval(errors: Iterable[Error], wrong: float = 0.05) -> float:
    """Half the interval of a difference with these errors, in points; each has Student's factor for its own degrees of freedom.

    It misses the truth in at most the share ``wrong`` of cases, for all true variances: the root of the sum of ``t² variance``
    (Banerjee 1960, Sankhya 22, 357). Unlike Student's interval with the degrees of freedom of the sum (Welch 1947, Satterthwaite 1946), it
    never narrows when an error becomes wider or less known: there, a further error besides a poorly known one raises the degrees of
    freedom of the sum.
    """
    return math.sqrt(math.fsum(_factor(error.freedom, wrong) ** 2 * error.variance for error in errors))


def p_value(difference: float, errors: Sequence[Error]) -> float:
    """The two-sided p-value of a true difference of 0: the largest ``wrong`` whose interval around ``difference`` still contains 0.

    So it is below 0.05 exactly where the 95% interval excludes 0.
    """
    total = math.fsum(error.variance for error in errors)
    if total == 0:
        return 1.0 if difference == 0 else 0.0
    statistic = abs(difference) / math.sqrt(total)
    freedoms = {error.freedom for error in errors if error.variance > 0}
    low, high = (2 * student_tail(statistic, freedom) for freedom in (max(freedoms), min(freedoms)))
    if low == high or high < _SMALLEST:
        return high
    return _between(max(low, _SMALLEST), high, lambda wrong: half_interval(errors, wrong) > abs(difference))


_SMALLEST = 1e-300
_HALVINGS = 60


def _between(low: float, high: float, contains: Callable[[float], bool]) -> float:
    """The largest share of ``low`` to ``high`` whose interval ``contains`` no difference, found on the logarithmic scale."""
    for _ in range(_HALVINGS):
        middle = math.sqrt(low) * math.sqrt(high)
        low, high = (middle, high) if contains(middle) else (low, middle)
    return high


@lru_cache(maxsize=4096)
def _factor(freedom: float, wrong: float) -> float:
    return -student_quantile(wrong / 2, freedom)
