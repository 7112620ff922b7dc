"""Quantiles and tails of the distributions behind intervals and p-values.

scipy is imported at the first call: most commands need none, and the import takes longer than the rest of them. ``scipy.stats`` would
call the same special functions, but its import takes three times as long.
"""

from __future__ import annotations


def student_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t with so many degrees of ``freedom`` at this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def student_tail(value: float, freedom: float) -> float:
    """The probability that Student's t with so many degrees of ``freedom`` is above ``value``."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def fisher_quantile(probability: float, freedom: float, below: float) -> float:
    """The quantile of Fisher's F at this probability, with ``freedom`` degrees in the numerator and ``below`` in the denominator."""
    from scipy.special import fdtri

    return float(fdtri(freedom, below, probability))
