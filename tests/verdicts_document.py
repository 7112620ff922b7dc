"""Writes ``docs/verdicts.md``, how often verdicts are wrong: ``.venv/bin/python -m tests.verdicts_document``, about five minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fsl_core.recipe.setting import Lighter
from fsl_core.written import written
from orchestrator.report.weights import lighter
from tests.orchestrator.report.equal_truth import SEEDS, Pair, Rule, Truth, rule_without_their_errors, shipped_pairs, simulated

PATH = Path(__file__).resolve().parents[1] / "docs" / "verdicts.md"
DRAWS = 1000
Group = tuple[str, str, str]
_INTRODUCTION = """\
# Verdicts

A verdict is an equivalence test: two numbers are equal in truth where the accuracies *expected over trainings* are, and `reproduced` means
that the 95% interval of their difference lies within the margin of `sweeps/published/margins.yaml`; `above` and `below`, that it lies
wholly outside; else it is `inconclusive`. The variance of the difference is the sum of these, each times the square of Student's factor
for its own degrees of freedom (Banerjee 1960: at least 95% whatever the true variances are):

- our test episodes: as our scores show them, seeds of a cell answering the same episodes;
- their test episodes: the printed interval; where none is printed, our own answers' spread on the same cell, rescaled to their episodes
  and queries by the beta-binomial variance. Where a source does not state them, 600 episodes of 5 queries a class are taken for granted;
- trainings: the spread over seeds divided by the number of ours, and once more for the one training that their number comes from; where
  a source states its own spread over several trainings, that divided by their number;
- the rounding of their number.

The spread over trainings is the cell's own from ten seeds on, else that of all cells of the algorithm and data set in the table
(if it has four degrees of freedom; cells that score the same trainings count once), else what other sources measured, with the degrees
of freedom that `margins.yaml` states. A cell that is clearly wider than what it would be lent keeps its own. Spreads are carried from one
accuracy to another on the scale of logits, that is by p (1 - p).

## What a difference does

A setting that the source states, and that the cell has otherwise, makes the two "not comparable": they answer different questions. A
training with fewer `steps` is a "short run". Unless it is one of these, which are noted beside the verdict:

{weights}
## How often verdicts are wrong

Two sides that are equal in truth, simulated: beta-binomial episodes on both sides, trainings spread normally around one mean, one
training behind each published number (or as many as its source states), and what each side shows of itself put through the functions
that make a table's verdicts. `above` and `below` are then wrong, and a rule should say them in at most 5% of cases. This section is
written from {draws:,} draws for each number and way of scoring that a sweep of this project sets beside each other, by
`python -m tests.verdicts_document`; `tests/orchestrator/report/test_equal_truth.py` holds the same to 5% with fewer draws.

Each row is of the numbers of one registry, algorithm and data set; its figures are percent of draws with 1 / 3 / 10 seeds on our side.

- **wrong**: `above` or `below` at equal truth, the worst of the row's numbers, where trainings lie as far apart as other sources measured.
- **wrong, unknown spread**: the same, where the true spread is drawn anew each time from what the degrees of freedom of that measurement
  leave open: on one seed it is still what a verdict must count with.
- **wrong, a margin apart**: `reproduced` where ours is in truth lower by the whole margin.
- **wrong, first edition**: by the rule that tables had before, which counted of a number without an interval the rounding alone, and of
  trainings the spread of our own seeds alone.
- **reproduced**: at equal truth, the mean over the row's numbers. Where it is near 0 the published number, or the spread of trainings,
  cannot bear a verdict within the margin; `fsl plan` says so of each cell.

| registry | algorithm | data set | numbers | wrong | wrong, unknown spread | wrong, a margin apart | wrong, first edition | reproduced |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
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
    return _INTRODUCTION.format(draws=draws, weights=weights()) + "".join(rows)


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
