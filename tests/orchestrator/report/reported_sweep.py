"""A sweep with invented results: real values of the real types, no training."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.trial_record import TrialRecord
from orchestrator.report.published import Registries, load_registries
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Plan, build_plan
from tests.made_up_answers import made_up

SWEEP = """
name: reported
title: Reported & checked_100%
published: [snell_2017]
seeds: [0, 1, 2]
fixed: {dataset: omniglot, split: vinyals, train_way: 60, retrain: true, evaluation_episodes: 1000}
grid: {way: [5, 20], shot: [1]}
"""


@cache
def registries() -> Registries:
    return load_registries(Path(__file__).parents[3] / "sweeps" / "published")


def plan_of(folder: Path, text: str = SWEEP, **overrides: object) -> Plan:
    path = folder / "reported.yaml"
    path.write_text(text)
    return build_plan(load_sweep(path, **overrides))  # type: ignore[arg-type]


def score(recipe: TrainingRecipe, evaluation: Evaluation, correct: list[int]) -> EvaluationResult:
    counts = tuple(correct[index % len(correct)] for index in range(evaluation.episodes))
    return EvaluationResult(
        recipe_fingerprint=recipe.fingerprint,
        evaluation=evaluation,
        weights_digest="w",
        data_digest="d",
        episodes_digest="e",
        **made_up(counts, evaluation.shape),
    )


def finished(recipe: TrainingRecipe, scores: list[EvaluationResult]) -> TrialRecord:
    curve = ((100, 0.5), (200, 0.75))
    result = TrialResult(
        recipe=recipe,
        status="complete",
        stopped_by="budget",
        steps_done=200,
        selected_step=200,
        validation_loss=0.5,
        validation_accuracy=0.75,
        weights_digest="w",
        data_digest="d",
        curves={"train_loss": curve, "validation_accuracy": curve},
    )
    execution = ExecutionRecord(
        train_seconds=12.5, steps=200, attempts=1, host="h", device="cpu", device_name="processor", threads=1,
        started_at="2026-01-01T00:00:00.000+00:00", finished_at="2026-01-01T00:01:00.000+00:00", versions={"torch": "2"},
    )  # fmt: skip
    evaluations = {each.evaluation.fingerprint: each for each in scores}
    return TrialRecord(fingerprint=recipe.fingerprint, result=result, evaluations=evaluations, execution=execution)


def diverged(recipe: TrainingRecipe) -> TrialRecord:
    record = finished(recipe, [])
    assert record.result is not None
    changes = {"status": "diverged", "stopped_by": "divergence", "selected_step": None, "validation_loss": None,
               "validation_accuracy": None}  # fmt: skip
    result = dataclasses.replace(record.result, weights_digest=None, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(record, result=result)


def records_of(plan: Plan, correct_by_seed: Mapping[int, list[int]]) -> dict[str, TrialRecord]:
    """Records in which each seed classifies that many queries of its episodes rightly, over and over; other seeds are missing."""
    records = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials}
    for trial in plan.trials:
        if trial.recipe.seed in correct_by_seed:
            scores = [score(trial.recipe, each, correct_by_seed[trial.recipe.seed]) for each in trial.evaluations]
            records[trial.fingerprint] = finished(trial.recipe, scores)
    return records
