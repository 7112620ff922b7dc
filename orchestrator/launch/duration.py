"""Durations in words, the same in every view: two digits, and one unit that fits."""

from __future__ import annotations

from orchestrator.launch.span import Span

_UNITS = (("s", 1, 100), ("min", 60, 100 * 60), ("h", 3600, 48 * 3600), ("days", 86_400, 730 * 86_400))
"""A unit, its seconds, and from how many seconds on the next unit is used."""


def duration_text(seconds: float) -> str:
    """A number of seconds, two digits of it: ``8.0 s``, ``2.2 min``, ``54 days``."""
    unit, size = _unit_of(seconds)
    return f"{two_digits(seconds / size)} {unit}"


def range_text(span: Span) -> str:
    """A number of seconds as far as it is known, in the unit of the likely one: ``about 54 days, 35 to 80``."""
    _, size = _unit_of(span.likely)
    start, end = (two_digits(seconds / size) for seconds in (span.low, span.high))
    return f"about {duration_text(span.likely)}" + ("" if start == end else f", {start} to {end}")


def two_digits(number: float) -> str:
    """A number rounded to two significant digits, or to a tenth: ``54``, ``3.1``, ``1,300``, ``0.2``; below 0.05 it is ``0``."""
    rounded = float(f"{number:.2g}")
    if rounded >= 10:
        return f"{rounded:,.0f}"
    return f"{number:.1f}" if number >= 0.05 else "0"


def _unit_of(seconds: float) -> tuple[str, int]:
    """The unit in which a duration is written, and its seconds."""
    return next(((unit, size) for unit, size, most in _UNITS if seconds < most), ("years", 365 * 86_400))
