"""Whether a number is reproduced: an equivalence test with honest errors on both sides.

The difference of two accuracies has a standard error from our side (training seeds and test episodes) and one from theirs (their
interval, or their rounding). Its 95% interval is compared with a margin: lying within it shows that the two are the same for
practical purposes, which a mere lack of significance would not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.statistics import Z_95

FEW_SEEDS = 3
"""Below this many seeds a verdict is provisional: the spread over seeds is not known well enough."""
_MOST_SEEDS = 100


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Our side of a cell, in percent.

    ``accuracy``: the mean over ``seeds`` trainings; ``se_episodes``: the standard error over episodes of the seeds' mean;
    ``std_seeds``: the standard deviation over seeds, None with one seed.
    """

    accuracy: float
    seeds: int
    se_episodes: float
    std_seeds: float | None

    def standard_error(self, seeds: int | None = None) -> float:
        """The standard error of the mean, now or with another number of seeds at today's spread.

        The seeds answer the same episodes: their number lowers the part that comes from training, never the part that comes from
        the episodes. With one seed the spread over seeds is unknown and counts as nothing, which makes the verdict provisional.
        """
        spread = 0.0 if self.std_seeds is None else self.std_seeds
        return math.hypot(spread / math.sqrt(seeds or self.seeds), self.se_episodes)


@dataclass(frozen=True, kw_only=True)
class Printed:
    """Their side, in percent: the number, half its 95% interval (None where none is printed), the digits after the point."""

    accuracy: float
    ci95: float | None
    decimals: int

    @property
    def standard_error(self) -> float:
        """From the printed interval; without one, only the rounding is known: half a unit of the last digit, uniform."""
        if self.ci95 is not None:
            return self.ci95 / Z_95
        return 0.5 * 10.0**-self.decimals / math.sqrt(3)


def verdict(
    measured: Measured | None,
    printed: Printed | None,
    *,
    margin: float | None,
    wanted: int,
    diverged: int = 0,
    material: Sequence[str] = (),
    short: Sequence[str] = (),
) -> str:
    """The verdict on a cell in a few words.

    Args:
        measured: our side; None when no seed has a score yet.
        printed: their side; None when nothing is published.
        margin: how far apart the two may be, in points; None: there is none for such cells, so nothing is concluded.
        wanted: how many seeds the sweep asks for.
        diverged: how many of them diverged.
        material: differences of the protocol that make the two incomparable.
        short: why the training was shorter than the published one.
    """
    lost = [f"{diverged} of {wanted} seeds diverged"] if diverged else []
    if measured is None:
        return f"diverged ({lost[0]})" if diverged else "pending"
    if printed is None:
        label = "no published number"
    elif material:
        label = f"not comparable ({'; '.join(material)})"
    elif short:
        label = f"short run ({'; '.join(short)})"
    elif margin is None:
        label = "no margin for such cells"
    else:
        label = _equivalence(measured, printed, margin)
        label += ", provisional" if measured.seeds < FEW_SEEDS else ""
    return "; ".join([label, *lost])


def interval(measured: Measured, printed: Printed, seeds: int | None = None) -> tuple[float, float]:
    """The 95% interval of ours minus theirs, in points."""
    half = Z_95 * math.hypot(measured.standard_error(seeds), printed.standard_error)
    difference = measured.accuracy - printed.accuracy
    return difference - half, difference + half


def decide(measured: Measured, printed: Printed, margin: float, seeds: int | None = None) -> str | None:
    """``reproduced``, ``above`` or ``below`` where the interval settles it, else None."""
    low, high = interval(measured, printed, seeds)
    if low > margin:
        return "above"
    if high < -margin:
        return "below"
    return "reproduced" if low >= -margin and high <= margin else None


def _equivalence(measured: Measured, printed: Printed, margin: float) -> str:
    settled = decide(measured, printed, margin)
    if settled is not None:
        return settled
    more = seeds_to_settle(measured, printed, margin)
    if more is None:
        return "inconclusive (seeds alone will not settle it)"
    return f"inconclusive (~{more} more seeds)"


def seeds_to_settle(measured: Measured, printed: Printed, margin: float) -> int | None:
    """How many further seeds would settle the verdict at today's mean and spread; None when no reasonable number would."""
    if measured.std_seeds is None:
        return FEW_SEEDS - measured.seeds  # the spread must be seen first
    for more in range(1, _MOST_SEEDS + 1):
        if decide(measured, printed, margin, measured.seeds + more) is not None:
            return more
    return None
