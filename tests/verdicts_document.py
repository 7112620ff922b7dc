"""Writes ``docs/verdicts.md``, how often verdicts and comparisons are wrong: ``.venv/bin/python -m tests.verdicts_document``, minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsl_core.recipe.setting import Lighter
from fsl_core.written import written
from orchestrator.report.weights import lighter
from tests.orchestrator.report.equal_rows import RATIOS, coverage, own_rule, welch_rule
from tests.orchestrator.report.equal_truth import SEEDS, Pair, Rule, Truth, rule_without_their_errors, shipped_pairs, simulated

PATH = Path(__file__).resolve().parents[1] / "docs" / "verdicts.md"
DRAWS = 1000
COMPARED_SEEDS = (2, 3, 5, 10)
_COMPARED_DRAWS = 4000
Group = tuple[str, str, str]
_INTRODUCTION = """\
# Verdicts

A verdict is an equivalence test of the accuracies *expected over trainings*. `reproduced` means that the 95% interval of their difference
is within the margin of `sweeps/published/margins.yaml`; `above` and `below`, that it is entirely outside; otherwise the verdict is
`inconclusive`. The variance of the difference is the sum of these terms, each times the square of Student's factor for its own degrees of
freedom (Banerjee 1960: at least 95% coverage for any true variances):

- our test episodes: from our scores, where all seeds of a cell answer the same episodes;
- their test episodes: the reported interval; without one, the spread of our answers on the same cell, rescaled to their episodes and
  queries by the beta-binomial variance. If a source does not state them, 600 episodes of 5 queries per class are assumed;
- trainings: the variance over seeds divided by the number of our seeds, and once more for the single training behind their number; if a
  source states its own spread over several trainings, that variance divided by their number;
- the rounding of their number.

The spread over trainings is the cell's own from ten seeds on; otherwise that of all cells of the algorithm and data set in the table
(if it has four degrees of freedom; cells that score the same trainings count once); otherwise the measurement of other sources, with the
degrees of freedom in `margins.yaml`. A cell with a clearly larger spread than the borrowed one keeps its own. Spreads are transferred
between accuracies on the logit scale, that is by p (1 - p).

With fewer than 100 test episodes of ours there is no verdict ("too few episodes"): their own spread is poorly known then, and zero where
all are answered rightly.

## Differences in settings

If a setting of the cell differs from one that the source states, the two numbers are "not comparable": they answer different questions. A
training with fewer `steps` is a "short run". Differences in the following settings are only noted beside the verdict:

{weights}
## How often verdicts are wrong

We simulate two sides with equal true accuracy: beta-binomial episodes on both sides, trainings normally distributed around one mean, and
one training behind each published number (or as many as its source states). The observable values of each side go through the functions
that compute a table's verdicts. `above` and `below` are then wrong, and a rule should give them in at most 5% of cases. This section uses
{draws:,} draws for each number and way of scoring that a sweep of this project compares, and is written by
`python -m tests.verdicts_document`; `tests/orchestrator/report/test_equal_truth.py` checks the 5% with fewer draws.

Each row covers the numbers of one registry, algorithm and data set; its figures are percent of draws with 1 / 3 / 10 seeds on our side.

- **wrong**: `above` or `below` at equal truth, the worst of the row's numbers, with the spread of trainings that other sources measured.
- **wrong, unknown spread**: the same, with the true spread sampled for each draw from the uncertainty of that measurement, given its
  degrees of freedom: with one seed, a verdict must allow for it.
- **wrong, a margin apart**: `reproduced` although our true accuracy is lower by the whole margin.
- **wrong, first edition**: by the earlier rule, which for a number without an interval counted only the rounding, and for trainings only
  the spread of our own seeds.
- **reproduced**: at equal truth, the mean over the row's numbers. If it is near 0, the published number or the spread of trainings does
  not allow a verdict within the margin; `fsl plan` says so for each cell.

| registry | algorithm | data set | numbers | wrong | wrong, unknown spread | wrong, a margin apart | wrong, first edition | reproduced |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
_COMPARISONS = """
## How sure comparisons are

`fsl compare` has the same interval: Student's factor for each error by its own degrees of freedom, for the episodes that both rows share
and for the seeds. Its p-value is the level at which that interval just reaches 0. With two seeds the factor is 12.7, so the interval is
wide: differences of 23 and 25 points give 24 ± 13, p 0.03, like the paired t test over seeds. With one seed nothing is known of the
spread over seeds; interval and p are then of these trainings alone, and a note says so.

We simulate two methods with equal expected accuracy: {draws:,} draws of rows with the same episodes and seeds. The standard deviation over
seeds is {ratios} times the standard error of the episodes. A 95% interval should contain the true difference in at least 95% of
draws, and p should be below 0.01 in at most 1%. The rule of earlier versions (Welch 1947), which takes Student's factor once, with the
degrees of freedom of the sum, was too sure. Percent of draws, one figure for each standard deviation:

| seeds | interval contains the truth | p below 0.01 | Welch: contains the truth | Welch: p below 0.01 |
| ---: | ---: | ---: | ---: | ---: |
"""


def group_of(pair: Pair) -> Group:
    """The row that a number belongs to."""
    return pair.published.registry, pair.published.algorithm, pair.published.dataset


def document(draws: int = DRAWS) -> str:
    """The whole page."""
    groups: dict[Group, list[Pair]] = {}
    for pair in shipped_pairs():
        groups.setdefault(group_of(pair), []).append(pair)
    rows = [_row(group, pairs, draws) for group, pairs in sorted(groups.items())]
    return _INTRODUCTION.format(draws=draws, weights=weights()) + "".join(rows) + comparisons()


def comparisons(draws: int = _COMPARED_DRAWS) -> str:
    """The section about the intervals of comparisons."""
    ratios = " / ".join(f"{ratio:g}" for ratio in RATIOS)
    return _COMPARISONS.format(draws=draws, ratios=ratios) + "".join(_row_of_seeds(seeds, draws) for seeds in COMPARED_SEEDS)


def _row_of_seeds(seeds: int, draws: int) -> str:
    found = [
        [coverage(seeds, ratio, np.random.default_rng(0), draws=draws, rule=rule) for ratio in RATIOS]
        for rule in (own_rule, welch_rule)
    ]
    cells = [
        " / ".join(f"{100 * share:.1f}" for share in shares)
        for of_rule in found
        for shares in ([each.covered for each in of_rule], [each.significant for each in of_rule])
    ]
    return f"| {seeds} | {' | '.join(cells)} |\n"


def weights() -> str:
    """What is noted, and why it does not make two numbers incomparable."""
    rows = [(key, each) for key, listed in lighter().items() for each in listed if each.weight == "noted"]
    lines = (f"| `{key}` | {_where(each)} | {each.reason} |\n" for key, each in rows)
    return "".join(["| setting | of | because |\n| --- | --- | --- |\n", *lines])


def _where(each: Lighter) -> str:
    said = {("adapts", True): "what adapts", ("adapts", False): "what compares embeddings"}
    return ", ".join(said.get((key, value), f"{key}: {written(value)}") for key, value in each.where.items()) or "all"


def _row(group: Group, pairs: Sequence[Pair], draws: int) -> str:
    equal = [_said(pair, draws, Truth()) for pair in pairs]
    unknown = [_said(pair, draws, Truth(uncertain=True)) for pair in pairs]
    apart = [_said(pair, draws, Truth(apart=-pair.margin)) for pair in pairs]
    before = [_said(pair, draws, Truth(), rule_without_their_errors) for pair in pairs]
    cells = [
        *(_worst(said, ("above", "below"), draws) for said in (equal, unknown)),
        _worst(apart, ("reproduced",), draws),
        _worst(before, ("above", "below"), draws),
        _mean(equal, draws),
    ]
    registry, algorithm, dataset = group
    return f"| `{registry}` | {algorithm} | {dataset} | {len(pairs)} | {' | '.join(cells)} |\n"


def _said(pair: Pair, draws: int, truth: Truth, rule: Rule | None = None) -> list[Counter[str]]:
    random = np.random.default_rng(0)
    return [simulated(pair, seeds, random, draws=draws, truth=truth, rule=rule) for seeds in SEEDS]


def _worst(said: Sequence[Sequence[Counter[str]]], wrong: Sequence[str], draws: int) -> str:
    rates = (max(sum(of_seeds[word] for word in wrong) for of_seeds in column) for column in zip(*said, strict=True))
    return " / ".join(f"{100 * rate / draws:.1f}" for rate in rates)


def _mean(said: Sequence[Sequence[Counter[str]]], draws: int) -> str:
    rates = (sum(of_seeds["reproduced"] for of_seeds in column) / len(column) for column in zip(*said, strict=True))
    return " / ".join(f"{100 * rate / draws:.0f}" for rate in rates)


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
