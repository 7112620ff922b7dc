"""Whether a number is reproduced: an equivalence test with honest errors on both sides.

The difference of two accuracies has a standard error from our side (training seeds and test episodes) and one from theirs (their
interval, or their rounding). Its 95% interval is compared with a margin: lying within it shows that the two are the same for
practical purposes, which a mere lack of significance would not.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import t as student_t

from fsl_core.statistics import Z_95

FEW_SEEDS = 3
"""Below this many seeds a verdict is provisional: the spread over seeds is not known well enough."""
_MOST_SEEDS = 100
"""More further seeds than this are not counted out: nobody will train them."""
_ENDLESS = 10**9
"""As many seeds as anyone could ever train."""


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
        """From the printed interval; without one, only the rounding is known: half a unit of the last digit, uniform.

        No error of their episodes is made up where they print none, not even a binomial one from the number of episodes: answers of
        one episode are not independent, so it would be a guess. Their side then looks surer than it was.
        """
        if self.ci95 is not None:
            return self.ci95 / Z_95
        return 0.5 * 10.0**-self.decimals / math.sqrt(3)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to make of a cell: a ``label`` in a word or two, ``reasons`` for it, and ``lost``: what became of seeds that diverged.

    ``unlike``: the reasons are differences from the published run, so that nothing was compared.
    """

    label: str
    reasons: tuple[str, ...] = ()
    provisional: bool = False
    lost: str | None = None
    unlike: bool = False

    @property
    def short(self) -> str:
        """The label alone, with its ``provisional``."""
        return f"{self.label}, provisional" if self.provisional else self.label

    def __str__(self) -> str:
        reasons = f" ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.label}{reasons}{', provisional' if self.provisional else ''}{f'; {self.lost}' if self.lost else ''}"


def verdict(
    measured: Measured | None,
    printed: Printed | None,
    *,
    margin: float | None,
    wanted: int,
    diverged: int = 0,
    material: Sequence[str] = (),
    short: Sequence[str] = (),
) -> Verdict:
    """The verdict on a cell.

    Args:
        measured: our side; None when no seed has a score yet.
        printed: their side; None when nothing is published.
        margin: how far apart the two may be, in points; None: there is none for such cells, so nothing is concluded.
        wanted: how many seeds the sweep asks for.
        diverged: how many of them diverged.
        material: differences of the protocol that make the two incomparable.
        short: why the training was shorter than the published one.
    """
    lost = f"{diverged} of {wanted} seeds diverged" if diverged else None
    if measured is None:
        return Verdict(label="diverged", reasons=(lost,)) if lost else Verdict(label="pending")
    if printed is None:
        return Verdict(label="no published number", lost=lost)
    if material:
        return Verdict(label="not comparable", reasons=tuple(material), lost=lost, unlike=True)
    if short:
        return Verdict(label="short run", reasons=tuple(short), lost=lost, unlike=True)
    if margin is None:
        return Verdict(label="no margin for such cells", lost=lost)
    settled = decide(measured, printed, margin)
    reasons = () if settled else (_what_would_settle(measured, printed, margin),)
    return Verdict(label=settled or "inconclusive", reasons=reasons, provisional=measured.seeds < FEW_SEEDS, lost=lost)


def interval(measured: Measured, printed: Printed, seeds: int | None = None) -> tuple[float, float]:
    """The 95% interval of ours minus theirs, in points.

    The spread over a few seeds is itself known badly, so the interval is Student's, with the degrees of freedom of a sum of variances
    of which that of the seeds alone is estimated from few values (Welch 1947): with little spread it is the normal one.
    """
    count = seeds or measured.seeds
    spread = 0.0 if measured.std_seeds is None else measured.std_seeds**2 / count
    variance = spread + measured.se_episodes**2 + printed.standard_error**2
    freedom = math.inf if spread == 0 else (count - 1) * (variance / spread) ** 2
    half = float(student_t.ppf(0.975, freedom)) * math.sqrt(variance)
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


def _what_would_settle(measured: Measured, printed: Printed, margin: float) -> str:
    if measured.std_seeds is None:
        return f"{FEW_SEEDS - measured.seeds} more seeds to see their spread"
    more = seeds_to_settle(measured, printed, margin)
    if more is None:
        return "seeds alone will not settle it"
    if more > _MOST_SEEDS:
        return f"more than {_MOST_SEEDS} more seeds"
    return f"~{more} more seed{'s' if more > 1 else ''}"


def seeds_to_settle(measured: Measured, printed: Printed, margin: float) -> int | None:
    """How many further seeds would settle an inconclusive verdict, were the mean and the spread to stay as they are today.

    None when no number would: the errors that more seeds leave as they are (our episodes, their number) already reach across the
    margin's edge, or the spread over seeds is unknown.
    """
    if measured.std_seeds is None or decide(measured, printed, margin, _ENDLESS) is None:
        return None
    # More seeds narrow the interval around the same mean, so that what is settled once stays settled.
    return 1 + bisect.bisect_left(
        range(1, _ENDLESS), True, key=lambda more: decide(measured, printed, margin, measured.seeds + more) is not None
    )
