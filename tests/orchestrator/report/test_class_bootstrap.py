"""The open interval covers what other test classes would give, wherever their differences come from; the closed one does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fsl_core.episodes.statistics import Z_95
from orchestrator.report.class_bootstrap import ci95_classes
from orchestrator.report.table import render
from orchestrator.report.table_rows import table_rows
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

WAY, QUERY, TRIES = 5, 5, 200
Model = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]
"""Chances ``[E, way]`` that a query of each class of each episode is right, of classes that it chooses itself."""


def alike(random: np.random.Generator, classes: np.ndarray, count: int) -> np.ndarray:
    return np.full(classes.shape, 0.7)


def hard_by_itself(random: np.random.Generator, classes: np.ndarray, count: int) -> np.ndarray:
    """Some classes are hard to recognise, whatever stands beside them."""
    return np.asarray(random.beta(4, 2, count)[classes])


def hard_for_each_other(random: np.random.Generator, classes: np.ndarray, count: int) -> np.ndarray:
    """Some classes look like others: their queries go astray, and so do the others' beside them."""
    likeness = random.beta(2, 4, count)[classes]
    others = (likeness.sum(axis=1, keepdims=True) - likeness) / (WAY - 1)
    return np.asarray(1 - (likeness + others) / 2)


def score(random: np.random.Generator, model: Model, *, count: int, episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The accuracies of episodes of ``count`` new classes, and the classes of each."""
    classes = random.random((episodes, count)).argsort(axis=1)[:, :WAY]
    return random.binomial(QUERY, model(random, classes, count)).mean(axis=1) / QUERY, classes


def closed(accuracies: np.ndarray) -> float:
    return float(Z_95 * accuracies.std(ddof=1) / len(accuracies) ** 0.5)


@pytest.mark.parametrize(("count", "episodes"), [(20, 300), (50, 300)])
@pytest.mark.parametrize("model", [hard_by_itself, hard_for_each_other])
def test_the_open_interval_covers_the_accuracy_on_all_classes_and_the_closed_does_not(
    model: Model, count: int, episodes: int
) -> None:
    random = np.random.default_rng(1)
    truth = np.mean([score(random, model, count=500, episodes=2000)[0].mean() for _ in range(20)])
    tries = [score(random, model, count=count, episodes=episodes) for _ in range(TRIES)]
    errors = np.array([abs(accuracies.mean() - truth) for accuracies, _ in tries])
    wide = np.array([ci95_classes(accuracies, classes) for accuracies, classes in tries])
    covered = (errors <= wide).mean()
    assert 0.91 <= covered <= 0.99, "of 200 true 95% intervals 182 to 197 cover"
    assert (errors <= [closed(accuracies) for accuracies, _ in tries]).mean() < 0.75
    assert wide.mean() < 1.4 * Z_95 * errors.std() / (1 - 2 / np.pi) ** 0.5, "an interval that covers is no wider than it must be"


def test_with_equal_classes_the_open_interval_is_hardly_wider_than_the_closed() -> None:
    random = np.random.default_rng(2)
    tries = [score(random, alike, count=100, episodes=1000) for _ in range(30)]
    wider = np.mean([ci95_classes(*each) for each in tries]) / np.mean([closed(accuracies) for accuracies, _ in tries])
    assert 1 <= wider < 1.2


def test_turns_of_a_character_count_as_one_class() -> None:
    """A character in its four turns counts once: taken for four classes it would look like four times as many."""
    random = np.random.default_rng(3)
    characters = random.random((400, 50)).argsort(axis=1)[:, :WAY]
    accuracies = random.binomial(QUERY, random.beta(4, 2, 50)[characters]).mean(axis=1) / QUERY
    turned = 4 * characters + random.integers(0, 4, characters.shape)
    whole, split = ci95_classes(accuracies, turned // 4), ci95_classes(accuracies, turned)
    assert whole is not None and split is not None
    assert whole == ci95_classes(accuracies, characters)
    assert split < 0.75 * whole


def test_the_interval_is_deterministic_and_scales_with_the_unit() -> None:
    accuracies, classes = score(np.random.default_rng(4), hard_by_itself, count=20, episodes=100)
    half = ci95_classes(accuracies, classes)
    assert half is not None
    assert ci95_classes(accuracies, classes) == half
    assert ci95_classes(100 * accuracies - 20, 3 * classes + 1) == pytest.approx(100 * half)


def test_there_is_no_interval_where_every_episode_has_all_classes() -> None:
    classes = np.tile(np.arange(WAY), (10, 1))
    assert ci95_classes(np.linspace(0, 1, 10), classes) is None


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_a_table_has_the_open_interval_on_request(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path)
    rows = table_rows(plan, records_of(plan, {0: [74, 75]}), registries())
    plain, whole = (" ".join(render(rows, form, spec=plan.spec, classes=classes).split()) for classes in (False, True))
    assert "sampled again from the same classes" in plain and "sampled again from the same classes" in whole
    assert "other test classes" not in plain and "other test classes" in whole
