"""Verdicts where the truth is known: decisive and wrong in at most one of twenty cases, for every number that a sweep shows."""

import re
from collections import Counter

import numpy as np
import pytest

from tests.orchestrator.report.equal_truth import (
    SEEDS,
    Pair,
    Rule,
    Truth,
    rule_without_their_episodes,
    rule_without_their_errors,
    rule_without_trainings,
    shipped_pairs,
    simulated,
)
from tests.verdicts_document import PATH, group_of, weights

DRAWS = 250
MORE_DRAWS = 1000
"""Where the share is nearer to one of twenty, 250 draws of some hundred pairs exceed it by chance."""


def representatives() -> tuple[Pair, ...]:
    """The first pair of each registry, algorithm, data set, way and shot."""
    found: dict[object, Pair] = {}
    for pair in shipped_pairs():
        number = pair.published
        found.setdefault((number.registry, number.algorithm, number.dataset, number.way, number.shot), pair)
    return tuple(found.values())


def fixed() -> np.random.Generator:
    return np.random.default_rng(0)


def decisive(said: Counter[str]) -> float:
    return (said["above"] + said["below"]) / said.total()


def test_equal_truths_are_rarely_called_unequal() -> None:
    for pair in shipped_pairs():
        for seeds in SEEDS:
            assert decisive(simulated(pair, seeds, fixed(), draws=DRAWS)) <= 0.05, (pair.name, seeds)


def test_equal_truths_are_rarely_called_unequal_under_a_wrong_spread() -> None:
    """The true spread is drawn anew for each pair, from what the degrees of freedom of the assumed one leave open."""
    for pair in representatives():
        for seeds in SEEDS:
            assert decisive(simulated(pair, seeds, fixed(), draws=DRAWS, truth=Truth(uncertain=True))) <= 0.05, (pair.name, seeds)


@pytest.mark.slow
def test_truths_a_margin_apart_are_rarely_called_reproduced() -> None:
    for pair in representatives():
        for seeds in SEEDS:
            said = simulated(pair, seeds, fixed(), draws=MORE_DRAWS, truth=Truth(apart=-pair.margin))
            assert said["reproduced"] / MORE_DRAWS <= 0.05, (pair.name, seeds)


def test_some_equal_truths_are_called_reproduced() -> None:
    """A rule that settles nothing is never wrong."""
    said = [simulated(pair, 3, fixed(), draws=100)["reproduced"] for pair in representatives()]
    assert max(said) == 100 and sum(each >= 20 for each in said) > len(said) / 5


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (
            rule_without_their_errors,
            0.4,
        ),  # the first edition's: half of the plain cosine's verdicts, one of five of other articles'
        (rule_without_trainings, 0.1),
        (rule_without_their_episodes, 0.1),
    ],
)
def test_a_rule_without_one_error_is_detected(rule: Rule, least: float) -> None:
    worst = max(decisive(simulated(pair, 1, fixed(), draws=100, rule=rule)) for pair in shipped_pairs())
    assert worst > least


def test_the_document_has_every_group_of_numbers() -> None:
    counted = Counter(group_of(pair) for pair in shipped_pairs())
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\d+) \|", PATH.read_text(encoding="utf-8"), re.MULTILINE)
    assert {tuple(row[:3]): int(row[3]) for row in rows} == dict(counted), "python -m tests.verdicts_document"
    assert weights() in PATH.read_text(encoding="utf-8")


@pytest.mark.parametrize("seeds", SEEDS)
def test_the_same_seed_draws_the_same_verdicts(seeds: int) -> None:
    pair = representatives()[0]
    first, second = (simulated(pair, seeds, fixed(), draws=50) for _ in range(2))
    assert first == second
