"""Decides whether a number is reproduced, by an equivalence test with the errors of both sides.

Two numbers are truly equal where their expected accuracies over trainings are. Both sides contribute errors to their difference: the test
episodes, and the deviation of the trainings from their mean. The 95% interval of the difference is compared with a margin: an interval
within the margin shows practical equivalence, which a mere lack of significance does not.
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
"""With fewer seeds a verdict is provisional, because the spread over seeds is poorly known."""
LEAST_EPISODES = 100
"""With fewer test episodes their spread is poorly known, and zero where all are alike: there is no conclusion. No source has fewer."""
_MOST_SEEDS = 100
"""Above this many further seeds no exact number is given: nobody will train them."""
_ENDLESS = 10**9
"""A practically unlimited number of seeds."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Our side of a cell, in percent.

    ``accuracy``: the mean over ``seeds`` trainings; ``se_episodes``: the standard error over ``episodes`` of the seeds' mean;
    ``std_seeds``: the standard deviation over seeds, None with one seed.
    """

    accuracy: float
    seeds: int
    episodes: int
    se_episodes: float
    std_seeds: float | None


@dataclass(frozen=True, kw_only=True)
class Printed:
    """The published side, in percent.

    ``ci95``: half the printed 95% interval over episodes, or None; ``decimals``: the digits printed after the point; ``std_seeds``: the
    printed deviation over ``seeds`` trainings, or None for a number of one training. ``se_episodes``: the standard error over their
    episodes where no interval is printed.
    """

    accuracy: float
    ci95: float | None
    decimals: int
    se_episodes: float = 0.0
    std_seeds: float | None = None
    seeds: int | None = None

    def errors(self) -> tuple[Error, ...]:
        """The errors that the source shows: rounding, uniform over a unit of the last digit; episodes; and its own trainings.

        Without a printed interval, a deviation over trainings already includes the errors of their episodes.
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
        """Whether the source shows the spread of its own trainings."""
        return self.std_seeds is not None and (self.seeds or 1) > 1


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on a cell: a ``label`` of a word or two, the ``reasons`` for it, and ``lost``, a remark on seeds that diverged.

    ``unlike``: the reasons are differences from the published run, so the numbers were not compared. ``half``: half the 95% interval of
    the difference in points, where they were compared.
    """

    label: str
    reasons: tuple[str, ...] = ()
    provisional: bool = False
    lost: str | None = None
    unlike: bool = False
    half: float | None = None

    @property
    def short(self) -> str:
        """The label, with ``provisional`` where it applies."""
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
        measured: our side; None where no seed has a score yet.
        printed: the published side; None where nothing is published.
        margin: the largest equivalent difference, in points; None: there is no margin for such cells, and no conclusion.
        spread: the spread of trainings that differ only in their seed; None: it is unknown, and there is no conclusion.
        wanted: the number of seeds of the sweep.
        diverged: the number of seeds that diverged.
        material: differences of the protocol that make the two incomparable.
        short: the reasons for which the training counts as shorter than the published one.
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
    if measured.episodes < LEAST_EPISODES:
        few = f"{measured.episodes} test episodes; a verdict needs {LEAST_EPISODES}"
        return Verdict(label="too few episodes", reasons=(few,), lost=lost)
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
    """The 95% interval of ours minus theirs, in points, now or with ``further`` seeds at the present mean and spread.

    Our seeds share their episodes, so more of them reduce the error of training, never that of the episodes. The published number is of
    one training, with the spread of ours, unless its source shows several.
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
    """``reproduced``, ``above`` or ``below`` where the interval decides it, else None, as without a spread."""
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
    """The number of further seeds that would settle an inconclusive verdict, at the present mean and spread.

    None where no number would: the errors that seeds do not reduce (the episodes of both sides, their one training) already reach across
    the margin's edge, or the spread over seeds is unknown.
    """
    if decide(measured, printed, margin, spread, _ENDLESS) is None:
        return None
    # More seeds narrow the interval around the same mean, so a settled verdict stays settled.
    return 1 + bisect.bisect_left(
        range(1, _ENDLESS), True, key=lambda more: decide(measured, printed, margin, spread, more) is not None
    )
