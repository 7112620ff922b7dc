"""Whether a number is reproduced: an equivalence test with honest errors on both sides.

Two numbers are equal in truth where the accuracies expected over trainings are. Their difference has errors from both sides: the test
episodes of each, and how far the trainings that each rests on lie from their mean. Its 95% interval is compared with a margin: lying
within it shows that the two are the same for practical purposes, which a mere lack of significance would not.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.episode_spread import answer_variance, widest_variance
from orchestrator.report.seed_spread import SeedSpread
from orchestrator.report.student import Error, half_interval

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


@dataclass(frozen=True, kw_only=True)
class Printed:
    """Their side, in percent.

    ``ci95``: half the printed 95% interval over episodes, else None; ``decimals``: the digits printed after the point; ``std_seeds``: the
    printed deviation over ``seeds`` trainings, else None and the number is of one training. ``se_episodes``: the standard error over
    their episodes where no interval is printed.
    """

    accuracy: float
    ci95: float | None
    decimals: int
    se_episodes: float = 0.0
    std_seeds: float | None = None
    seeds: int | None = None

    def errors(self) -> tuple[Error, ...]:
        """Those that the source shows: of rounding, uniform over a unit of the last digit, of episodes and of its own trainings.

        A deviation over trainings holds the errors of their episodes already, where no interval is printed beside it.
        """
        rounding = Error((0.5 * 10.0**-self.decimals) ** 2 / 3)
        if self.ci95 is not None:
            episodes = Error((self.ci95 / Z_95) ** 2)
        else:
            episodes = Error(0.0 if self.of_several_trainings else self.se_episodes**2)
        if self.std_seeds is None or not self.of_several_trainings:
            return rounding, episodes
        seeds = self.seeds or 2
        return rounding, episodes, Error(self.std_seeds**2 / seeds, seeds - 1)

    @property
    def of_several_trainings(self) -> bool:
        """Whether the source shows how far its own trainings lie apart."""
        return self.std_seeds is not None and (self.seeds or 1) > 1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to make of a cell: a ``label`` in a word or two, ``reasons`` for it, and ``lost``: what became of seeds that diverged.

    ``unlike``: the reasons are differences from the published run, so that nothing was compared. ``half``: half the 95% interval of the
    difference in points, where the numbers were weighed.
    """

    label: str
    reasons: tuple[str, ...] = ()
    provisional: bool = False
    lost: str | None = None
    unlike: bool = False
    half: float | None = None

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
    spread: SeedSpread | None,
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
        spread: how far trainings that differ in their seed alone lie apart; None: nothing is known of it, so nothing is concluded.
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
    settled = decide(measured, printed, margin, spread)
    reasons = () if settled else (_what_would_settle(measured, printed, margin, spread),)
    return Verdict(
        label=settled or "inconclusive",
        reasons=reasons,
        provisional=measured.seeds < FEW_SEEDS,
        lost=lost,
        half=None if spread is None else half_of(measured, printed, spread),
    )


def interval(measured: Measured, printed: Printed, spread: SeedSpread, further: int = 0) -> tuple[float, float]:
    """The 95% interval of ours minus theirs, in points, now or with ``further`` seeds at today's mean and spread.

    The seeds answer the same episodes: their number lowers the part that comes from training, never the part that comes from the
    episodes. Their number rests on one training, which lies as far from its mean as one of ours, unless its source shows several.
    """
    half = half_of(measured, printed, spread, further)
    difference = measured.accuracy - printed.accuracy
    return difference - half, difference + half


def half_of(measured: Measured, printed: Printed, spread: SeedSpread, further: int = 0) -> float:
    """Half the width of :func:`interval`."""
    known = spread.with_further(further)
    ours = known.points(answer_variance(measured.accuracy)) ** 2 / (measured.seeds + further)
    one = known.points(widest_variance(measured.accuracy, printed.accuracy)) ** 2
    trainings = Error(ours if printed.of_several_trainings else ours + one, known.freedom)
    return half_interval([trainings, Error(measured.se_episodes**2), *printed.errors()])


def decide(measured: Measured, printed: Printed, margin: float, spread: SeedSpread | None, further: int = 0) -> str | None:
    """``reproduced``, ``above`` or ``below`` where the interval settles it, else None; nothing does without a spread."""
    if spread is None:
        return None
    low, high = interval(measured, printed, spread, further)
    if low > margin:
        return "above"
    if high < -margin:
        return "below"
    return "reproduced" if low >= -margin and high <= margin else None


def _what_would_settle(measured: Measured, printed: Printed, margin: float, spread: SeedSpread | None) -> str:
    if spread is None or spread.origin == "prior":
        least = f"{FEW_SEEDS - measured.seeds} " if measured.seeds < FEW_SEEDS else ""
        return f"{least}more seed{'' if least == '1 ' else 's'} to see their spread"
    more = seeds_to_settle(measured, printed, margin, spread)
    if more is None:
        return "seeds alone will not settle it"
    if more > _MOST_SEEDS:
        return f"more than {_MOST_SEEDS} more seeds"
    return f"~{more} more seed{'s' if more > 1 else ''}"


def seeds_to_settle(measured: Measured, printed: Printed, margin: float, spread: SeedSpread | None) -> int | None:
    """How many further seeds would settle an inconclusive verdict, were the mean and the spread to stay as they are today.

    None when no number would: the errors that more seeds leave as they are (the episodes of both sides, the one training of theirs)
    already reach across the margin's edge, or the spread over seeds is unknown.
    """
    if decide(measured, printed, margin, spread, _ENDLESS) is None:
        return None
    # More seeds narrow the interval around the same mean, so that what is settled once stays settled.
    return 1 + bisect.bisect_left(
        range(1, _ENDLESS), True, key=lambda more: decide(measured, printed, margin, spread, more) is not None
    )
