"""A small sweep with records but without training, for the tracking tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import Plan, PlannedTrial, build_plan
from tests.made_up_answers import made_up

SWEEP = """\
name: {name}
title: A tiny sweep
description: It is never trained.
published: []
short: true
seeds: [0, 1]
fixed: {{dataset: glyphs, split: glyphs, way: 5, shot: 1, query: 3, evaluation_episodes: 4, train_way: 5, steps: 300}}
grid: {{distance: [squared_euclidean, cosine]}}
"""

DATA_DIGEST = "d" * 64
POINTS_A_TRIAL = 4 * 3 + 3 + 5


def tiny_plan(folder: Path, name: str = "tiny", only: tuple[str, ...] = ()) -> Plan:
    path = folder / f"{name}.yaml"
    path.write_text(SWEEP.format(name=name))
    return build_plan(load_sweep(path, only=only))


@dataclass(frozen=True)
class TrackedSweep:
    """A plan, and the store that holds its records."""

    plan: Plan
    store: Store

    @property
    def trials(self) -> tuple[PlannedTrial, ...]:
        return self.plan.trials

    def record(self, trial: PlannedTrial) -> TrialRecord:
        return self.store.read(trial.fingerprint)


def curve_of(trial: PlannedTrial, steps: tuple[int, ...] = (100, 200, 300)) -> dict[int, dict[str, float]]:
    """A deterministic curve by step; its first loss is infinite, as after a diverging start."""
    wobble = trial.recipe.seed / 7
    return {
        step: {
            "train_loss": math.inf if step == 50 else 1 / (step + wobble),
            "train_accuracy": 1 - 1 / (step + 3 + wobble),
            "validation_loss": 1 / (step + 2 + wobble),
            "validation_accuracy": 0.25 + step / 1000 + wobble / 10,
        }
        for step in steps
    }


def result_of(trial: PlannedTrial) -> TrialResult:
    by_step = curve_of(trial)
    names = next(iter(by_step.values()))
    return TrialResult(
        recipe=trial.recipe,
        status="complete",
        stopped_by="budget",
        steps_done=300,
        selected_step=200,
        validation_loss=0.7,
        validation_accuracy=0.75,
        weights_digest="a" * 64,
        data_digest=DATA_DIGEST,
        curves={name: tuple((step, values[name]) for step, values in by_step.items()) for name in names},
    )


def execution_of() -> ExecutionRecord:
    return ExecutionRecord(
        train_seconds=12.5,
        steps=300,
        attempts=1,
        host="a-host",
        device="cpu",
        device_name="A Processor",
        threads=1,
        started_at="2024-05-01T10:00:00+00:00",
        finished_at="2024-05-01T10:01:00+00:00",
        git_commit="c0ffee" * 6 + "c0de",
        git_dirty=False,
        versions={"python": "3.12"},
    )


def write_record(store: Store, trial: PlannedTrial) -> None:
    """Writes the records of a finished trial."""
    paths = store.paths(trial.fingerprint)
    paths.folder.mkdir(parents=True, exist_ok=True)
    paths.log.write_text("step 100 …\n")
    paths.selected.write_bytes(b"weights")
    Image.new("RGB", (64, 48), "teal").save(paths.folder / "episode.png")
    result = result_of(trial)
    for evaluation in trial.evaluations:
        score = EvaluationResult(
            recipe_fingerprint=trial.fingerprint,
            evaluation=evaluation,
            weights_digest="a" * 64,
            data_digest=DATA_DIGEST,
            episodes_digest="e" * 64,
            **made_up((15, 14, 13, 12), evaluation.shape),
        )
        store.write_evaluation(score)
    store.write_execution(trial.fingerprint, execution_of())
    store.write_result(result)


def tracked_sweep(folder: Path, name: str = "tiny", only: tuple[str, ...] = (), runs: str = "runs") -> TrackedSweep:
    """The sweep with every trial finished."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = tiny_plan(folder, name, only)
    store = Store(folder / runs)
    for trial in plan.trials:
        write_record(store, trial)
    return TrackedSweep(plan, store)
