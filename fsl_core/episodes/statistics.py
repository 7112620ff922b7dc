"""The mean accuracy over episodes, and the interval that papers report with it."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z_95 = 1.959963984540054
"""The 97.5% quantile of the standard normal distribution: half the width of a 95% interval, in standard errors."""


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return math.fsum(values) / len(values)


def sample_std(values: Sequence[float]) -> float:
    """The standard deviation with n - 1 in the denominator; it needs at least two values."""
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def standard_error(values: Sequence[float]) -> float:
    """The standard error of the mean of at least two independent values."""
    return sample_std(values) / math.sqrt(len(values))


def confidence_interval_95(values: Sequence[float]) -> float:
    """Half the width of the normal 95% interval of the mean: 1.96 standard errors, as the few-shot papers report it."""
    return Z_95 * standard_error(values)
