"""How often a comparison of two equal methods covers the truth: rows whose expected accuracies are equal, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.comparison import Comparison, compare
from orchestrator.report.comparison_row import ComparedRow, Questions

EPISODES = 300
RATIOS = (0.25, 1.0, 4.0, 16.0)
"""Standard deviations over seeds, in standard errors of the episodes."""
Rule = Callable[[Comparison], tuple[float, float]]
"""Half the 95% interval of a comparison, and its p-value."""


@dataclass(frozen=True)
class Coverage:
    """The share of intervals that have the true difference, and of p-values below 0.01 although there is no difference."""

    covered: float
    significant: float


def own_rule(compared: Comparison) -> tuple[float, float]:
    """The interval and the p-value that ``fsl compare`` prints."""
    return compared.ci95, compared.p


def welch_rule(compared: Comparison) -> tuple[float, float]:
    """The rule before: Student's interval with the degrees of freedom of the sum (Welch 1947)."""
    assert compared.std_seeds is not None
    count = len(compared.seeds)
    of_seeds = compared.std_seeds**2 / count
    total = of_seeds + (compared.ci95_episodes / Z_95) ** 2
    freedom = total**2 / (of_seeds**2 / (count - 1))
    return float(stdtrit(freedom, 0.975)) * math.sqrt(total), float(
        2 * stdtr(freedom, -abs(compared.difference) / math.sqrt(total))
    )


def coverage(seeds: int, ratio: float, random: np.random.Generator, *, draws: int, rule: Rule = own_rule) -> Coverage:
    """The coverage where seeds vary with ``ratio`` times the standard error that the shared episodes leave of the difference."""
    covered = significant = 0
    for _ in range(draws):
        (found,) = compare([_equal_rows(seeds, ratio, random)])
        half, p = rule(found)
        covered += abs(found.difference) <= half
        significant += p < 0.01
    return Coverage(covered / draws, significant / draws)


def _equal_rows(seeds: int, ratio: float, random: np.random.Generator) -> tuple[ComparedRow, ComparedRow]:
    of_episodes = random.normal(0, math.sqrt(EPISODES), EPISODES)
    differences = {seed: random.normal(0, ratio) + of_episodes for seed in range(seeds)}
    return _row({seed: np.full(EPISODES, 70.0) for seed in range(seeds)}), _row(
        {seed: 70 + difference for seed, difference in differences.items()}
    )


def _row(by_seed: dict[int, np.ndarray]) -> ComparedRow:
    questions = Questions("sha256-e", (), EPISODES)
    return ComparedRow(table="t", number=1, cell="c", name="", settings={}, questions=questions, by_seed=by_seed)
