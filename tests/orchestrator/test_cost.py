"""Predictions: learnt before probed, remembered, and honest about what is unknown."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.recipe import TrainingRecipe
from fsl_core.result import TrialResult
from orchestrator.cell_settings import CellSettings
from orchestrator.cli.plan import Forecast
from orchestrator.cost import CostBook, Workload, makespan, memory_bytes, weight_count
from orchestrator.records import ExecutionRecord, TrialRecord
from tests.orchestrator.small_sweep import small_plan


def record(recipe: TrainingRecipe, seconds: float, steps: int) -> TrialRecord:
    result = TrialResult(
        recipe=recipe, status="complete", stopped_by="budget", steps_done=steps, selected_step=steps, validation_accuracy=0.5,
        weights_digest="0", data_digest="0",
    )  # fmt: skip
    execution = ExecutionRecord(
        train_seconds=seconds,
        steps=steps,
        attempts=1,
        host="h",
        device="cpu",
        device_name="c",
        threads=1,
        started_at="",
        finished_at="",
    )
    return TrialRecord(fingerprint=recipe.fingerprint, result=result, execution=execution)


def test_a_probe_is_measured_once_and_remembered(tmp_path: Path) -> None:
    trial = small_plan(tmp_path).trials[0]
    probed: list[TrainingRecipe] = []

    def probe(recipe: TrainingRecipe) -> float:
        probed.append(recipe)
        return 0.5

    book = CostBook(tmp_path / "cost.json", device="cpu")
    assert book.predict(trial).source == "unknown"
    assert book.predict(trial).seconds is None
    assert (book.predict(trial, probe).seconds, book.predict(trial, probe).source) == (10.0, "remembered probe")
    assert CostBook(tmp_path / "cost.json", device="cpu").predict(trial).seconds == 10.0
    assert CostBook(tmp_path / "cost.json", device="cuda").predict(trial).seconds is None
    assert len(probed) == 1


def test_earlier_trials_of_the_kind_beat_a_probe(tmp_path: Path) -> None:
    first, second = small_plan(tmp_path).trials
    assert first.recipe.seed != second.recipe.seed
    book = CostBook(tmp_path / "cost.json", device="cpu")
    book.learn([record(second.recipe, seconds=40, steps=20)])
    prediction = book.predict(first, probe=lambda recipe: 1e9)
    assert (prediction.seconds, prediction.source) == (40.0, "earlier trials")


def test_the_kind_ignores_seed_and_schedule_and_nothing_else(tmp_path: Path) -> None:
    recipe = small_plan(tmp_path).trials[0].recipe
    wider = dataclasses.replace(recipe, episode=dataclasses.replace(recipe.episode, way=6))
    assert Workload.of(recipe, "cpu") == Workload.of(dataclasses.replace(recipe, seed=9, steps=500), "cpu")
    assert Workload.of(recipe, "cpu") != Workload.of(wider, "cpu")
    assert Workload.of(recipe, "cpu") != Workload.of(recipe, "cuda")


def test_a_damaged_cache_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "cost.json").write_text("{")
    trial = small_plan(tmp_path).trials[0]
    assert CostBook(tmp_path / "cost.json", device="cpu").predict(trial, lambda recipe: 1.0).source == "probe"


@given(st.lists(st.floats(0, 1000), max_size=30), st.integers(1, 8))
def test_the_makespan_lies_between_its_bounds(seconds: list[float], slots: int) -> None:
    total, longest = sum(seconds), max(seconds, default=0.0)
    least = max(total / slots, longest)
    assert least - 1e-6 <= makespan(seconds, slots) <= total / slots + longest + 1e-6


def test_makespan_of_known_cases() -> None:
    assert makespan([3, 3, 2, 2, 2], 2) == pytest.approx(7)
    assert makespan([], 3) == 0


def test_a_trial_of_unknown_cost_starts_first(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    book = CostBook(tmp_path / "cost.json", device="cpu")
    known = book.predict(plan.trials[0], lambda recipe: 1.0)
    unknown = dataclasses.replace(known, seconds=None)
    predictions = {plan.trials[0].fingerprint: known, plan.trials[1].fingerprint: unknown}
    seconds = Forecast(predictions, frozenset(), slots=1).seconds
    assert sorted(plan.trials, key=lambda trial: seconds[trial.fingerprint], reverse=True)[0] == plan.trials[1]


CONTEXT = {"algorithm": "matching", "distance": "cosine", "fce": True, "reading_steps": 2, "support_order": "by_class"}


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "prototypical", "distance": "cosine"},
        {"algorithm": "matching", "distance": "cosine"},
        {**CONTEXT, "filters": 8},
        {"algorithm": "maml"},
        {"algorithm": "maml", "downsampling": "stride", "filters": 32},
        {"algorithm": "maml", "backbone": "mlp"},
        {"algorithm": "maml", "dataset": "mini_imagenet", "split": "ravi", "filters": 32},
        {"algorithm": "prototypical", "dataset": "mini_imagenet", "split": "ravi"},
        {"algorithm": "prototypical", "dataset": "mini_imagenet", "split": "ravi", "downsampling": "stride"},
        {"algorithm": "matching", "distance": "cosine", "learn_scale": True, "filters": 8},
        {**CONTEXT, "backbone": "mlp"},
        {**CONTEXT, "filters": 8, "learn_scale": True},
        {"algorithm": "maml", "dataset": "mini_imagenet", "split": "ravi", "backbone": "mlp"},
        {"algorithm": "maml", "way": 20},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_the_weights_are_counted_as_they_are(settings: dict[str, Any]) -> None:
    cell = CellSettings(**{"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, **settings})
    recipe = cell.recipe(0)
    shape = (3, 84, 84) if cell.dataset == "mini_imagenet" else (1, 28, 28)
    algorithm = build_algorithm(recipe, image_shape=shape, stage="select")
    assert weight_count(recipe) == sum(weights.numel() for weights in algorithm.parameters())


def test_full_context_embeddings_of_photographs_take_their_memory_and_disk() -> None:
    """Their LSTMs have 1,600 features: 72 million weights, with which checkpoints, moments and gradients grow."""
    plain, context = (
        CellSettings(**{"dataset": "mini_imagenet", "split": "ravi", "way": 5, "shot": 1, **settings})  # type: ignore[arg-type]
        for settings in ({"algorithm": "matching"}, CONTEXT)
    )
    extra = 4 * (weight_count(context.recipe(0)) - weight_count(plain.recipe(0)))
    assert extra > 2**28
    assert memory_bytes(context.recipe(0)) - memory_bytes(plain.recipe(0)) >= 4 * extra
