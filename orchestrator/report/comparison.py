"""Computes the difference of two rows, paired by frozen episode and by training seed where both rows have the same.

Two rows with the same episodes share the episodes' luck, which cancels in their difference: its interval is about half as wide as for
different episodes. Trainings with the same seed are also paired. Interval and p-value are as conservative as those of verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.class_bootstrap import ci95_classes
from orchestrator.report.comparison_row import ComparedRow, Pairing
from orchestrator.report.student import Error, half_interval, p_value


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second row minus the first, in percentage points.

    Attributes:
        first: the row that is subtracted.
        second: the other row.
        paired_by: the evidence that both rows have the same episodes; None: they do not, or it is unknown, and they are not paired.
        seeds: the training seeds that both have, by which they are paired; empty: each row's own seeds are used.
        first_accuracy: percent, over those seeds.
        second_accuracy: percent, over those seeds.
        difference: second minus first.
        ci95: half its 95% interval over episodes and, where there are several seeds, over seeds.
        ci95_episodes: half the 95% interval over episodes alone.
        ci95_unpaired: the same for two rows with different episodes.
        ci95_classes: half the 95% interval that covers other test classes too; None where the classes are unknown, or the rows are
            not paired.
        std_seeds: the standard deviation of the difference over the paired seeds; None for fewer than two.
        correlation: that of the two rows' accuracies over the episodes; None where they are not paired, or a row has no spread.
        p: the two-sided p-value of a difference of 0.
        p_holm: the same, adjusted by Holm for all comparisons of the table.
        unlike: the keys of the settings in which the two rows differ.
        seeds_differ: whether the two rows have finished different seeds.
        spread_known: whether both rows have enough seeds to show their spread.
    """

    first: ComparedRow
    second: ComparedRow
    paired_by: Pairing | None
    seeds: tuple[int, ...]
    first_accuracy: float
    second_accuracy: float
    difference: float
    ci95: float
    ci95_episodes: float
    ci95_unpaired: float
    ci95_classes: float | None
    std_seeds: float | None
    correlation: float | None
    p: float
    p_holm: float
    unlike: tuple[str, ...] = ()
    seeds_differ: bool = False
    spread_known: bool = False

    @property
    def same_trials(self) -> bool:
        """Whether the two rows are the same trainings."""
        return bool(self.first.trials) and self.first.trials == self.second.trials

    @property
    def same_scores(self) -> bool:
        """Whether the two rows are also scored alike, so that they cannot differ."""
        return self.same_trials and self.first.evaluation == self.second.evaluation


def compare(pairs: Sequence[tuple[ComparedRow, ComparedRow]]) -> tuple[Comparison, ...]:
    """The differences of pairs of rows with finished seeds; their p-values are adjusted by Holm for all pairs."""
    compared = [_compared(first, second) for first, second in pairs]
    adjusted = holm([each.p for each in compared])
    return tuple(replace(each, p_holm=p) for each, p in zip(compared, adjusted, strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of several tests, adjusted to bound the probability of any wrong rejection (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _compared(first: ComparedRow, second: ComparedRow) -> Comparison:
    common = tuple(seed for seed in first.seeds if seed in second.by_seed)
    paired_by = first.questions.pairing(second.questions) if first.questions and second.questions else None
    ours, theirs = (_by_seed(row, common) for row in (first, second))
    before, after = ours.mean(axis=0), theirs.mean(axis=0)
    apart = _variance(before) + _variance(after)
    episodes = _variance(after - before) if paired_by else apart
    of_seeds, std = _seed_errors(ours.mean(axis=1), theirs.mean(axis=1), paired=bool(common))
    errors = [Error(episodes), *of_seeds]
    difference = float(after.mean() - before.mean())
    return Comparison(
        first=first,
        second=second,
        paired_by=paired_by,
        seeds=common,
        first_accuracy=float(before.mean()),
        second_accuracy=float(after.mean()),
        difference=difference,
        ci95=half_interval(errors),
        ci95_episodes=Z_95 * math.sqrt(episodes),
        ci95_unpaired=Z_95 * math.sqrt(apart),
        ci95_classes=ci95_classes(after - before, first.classes) if paired_by and first.classes is not None else None,
        std_seeds=std,
        correlation=_correlation(before, after) if paired_by else None,
        p=p_value(difference, errors),
        p_holm=1.0,
        unlike=unlike(first, second),
        seeds_differ=set(first.seeds) != set(second.seeds),
        spread_known=bool(of_seeds),
    )


def unlike(first: ComparedRow, second: ComparedRow) -> tuple[str, ...]:
    """The keys of the settings that both rows have with different values."""
    return tuple(key for key, value in first.settings.items() if key in second.settings and second.settings[key] != value)


def _by_seed(row: ComparedRow, seeds: Sequence[int]) -> np.ndarray:
    """The accuracies of the given seeds, or of all seeds where none are given: float64 ``[seeds, E]``."""
    return np.stack([row.by_seed[seed] for seed in seeds or row.seeds])


def _variance(values: np.ndarray) -> float:
    """The variance of the mean of independent values."""
    return float(values.var(ddof=1)) / len(values)


def _seed_errors(first: np.ndarray, second: np.ndarray, *, paired: bool) -> tuple[list[Error], float | None]:
    """The errors that the seeds add to the difference, empty where a row has too few; the standard deviation of paired seeds."""
    parts = [second - first] if paired else [first, second]
    if min(map(len, parts)) < 2:
        return [], None
    std = float(parts[0].std(ddof=1)) if paired else None
    return [Error(_variance(part), len(part) - 1) for part in parts], std


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    if first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])
