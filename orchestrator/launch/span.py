"""A number of seconds that is not known exactly: the likely one, and the range that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Span:
    """Seconds: ``low`` at least, ``likely``, ``high`` at most. Spans are added as if all erred alike, which keeps the range wide."""

    low: float
    likely: float
    high: float

    @staticmethod
    def of(values: Sequence[float], *, low: float = 1.0, high: float = 1.0) -> Span:
        """The range of measured values, their median being likely, its ends moved by the factors ``low`` and ``high``."""
        return Span(low=min(values) * low, likely=median(values), high=max(values) * high)

    def __add__(self, other: Span) -> Span:
        return Span(low=self.low + other.low, likely=self.likely + other.likely, high=self.high + other.high)

    def __mul__(self, times: float | Span) -> Span:
        by = times if isinstance(times, Span) else Span(low=times, likely=times, high=times)
        return Span(low=self.low * by.low, likely=self.likely * by.likely, high=self.high * by.high)


NOTHING = Span(low=0.0, likely=0.0, high=0.0)
