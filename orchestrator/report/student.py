"""Computes the 95% interval of a sum of independent errors, of which some are poorly known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from orchestrator.report.distributions import student_quantile


@dataclass(frozen=True)
class Error:
    """One source of error: its ``variance`` in squared points, and its degrees of ``freedom`` (infinite: known exactly)."""

    variance: float
    freedom: float = math.inf


def half_interval(errors: Iterable[Error]) -> float:
    """Half the 95% interval of a difference with these errors, in points; each has Student's factor for its own degrees of freedom.

    The root of the sum of ``t² variance`` covers the truth in at least 95% of cases for all true variances (Banerjee 1960, Sankhya 22,
    357). Unlike Student's interval with the degrees of freedom of the sum (Welch 1947, Satterthwaite 1946), it never narrows when an
    error becomes wider or less known: there, a further error besides a poorly known one raises the degrees of freedom of the sum.
    """
    return math.sqrt(math.fsum(_factor(error.freedom) ** 2 * error.variance for error in errors))


@cache
def _factor(freedom: float) -> float:
    return student_quantile(0.975, freedom)
