"""The scores of contenders, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.contenders import BASELINE, OURS, Contender
from benchmarks.timed_process import Turn
from benchmarks.workloads import Workload


@dataclass(kw_only=True)
class Score:
    """The turns of a contender, or the reason for their absence in ``absent``."""

    contender: Contender
    turns: list[Turn] = field(default_factory=list)
    absent: str | None = None

    @property
    def milliseconds(self) -> list[float]:
        """Processor time of every step of every turn."""
        return [each for turn in self.turns for each in turn.milliseconds]

    @property
    def medians(self) -> list[float]:
        """The median of each turn."""
        return [statistics.median(turn.milliseconds) for turn in self.turns]

    @property
    def peak_mb(self) -> float | None:
        """The highest memory of all turns, above that before any step."""
        peaks = [turn.peak_mb for turn in self.turns if turn.peak_mb is not None]
        return max(peaks, default=None)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of some numbers and its spread: quartiles of steps, extremes of rounds."""

    median: float
    low: float
    high: float


def quartiles(values: Sequence[float]) -> Spread:
    """The median and quartiles; for one number, that number."""
    if len(values) == 1:
        return Spread(median=values[0], low=values[0], high=values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)


def ratio(one: Score, other: Score) -> Spread | None:
    """The ratio of times of ``one`` to ``other``, per round: median and extremes; None without a common round."""
    ratios = [mine / theirs for mine, theirs in zip(one.medians, other.medians, strict=False)]
    if not ratios:
        return None
    return Spread(median=statistics.median(ratios), low=min(ratios), high=max(ratios))


def score_rows(workload: Workload, scores: Sequence[Score]) -> Iterator[dict[str, object]]:
    """A plain row for each contender: its times, their ratios to ours and to the baseline, its memory."""
    by_name = {score.contender.name: score for score in scores}
    for score in scores:
        yield {
            "contender": score.contender.name,
            "label": score.contender.label,
            "absent": score.absent if not score.turns else None,
            "remark": score.contender.remark(workload),
            "steps": len(score.milliseconds),
            "rounds": len(score.turns),
            "milliseconds": quartiles(score.milliseconds) if score.turns else None,
            "beside_ours": _beside(score, by_name.get(OURS.name)),
            "beside_baseline": _beside(score, by_name.get(BASELINE.name)),
            "peak_mb": score.peak_mb,
        }


def _beside(score: Score, other: Score | None) -> Spread | None:
    return None if other is None else ratio(score, other)
