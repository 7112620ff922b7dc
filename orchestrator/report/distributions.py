"""Quantiles and tails of the distributions that intervals and p-values are read from.

scipy computes them and is imported at the first one: most commands need none, and its import takes longer than all else they do. Its
special functions are what ``scipy.stats`` calls, whose own import takes three times as long.
"""

from __future__ import annotations


def student_quantile(probability: float, freedom: float) -> float:
    """What Student's t with so many degrees of ``freedom`` stays below with this probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def student_tail(value: float, freedom: float) -> float:
    """The probability that Student's t with so many degrees of ``freedom`` is above ``value``."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -value))


def fisher_quantile(probability: float, freedom: float, below: float) -> float:
    """What Fisher's F stays below with this probability; ``freedom`` above the fraction line and ``below`` it."""
    from scipy.special import fdtri

    return float(fdtri(freedom, below, probability))
