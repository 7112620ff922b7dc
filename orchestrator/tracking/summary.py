"""Summarises a sweep in metrics for its parent run: counts of trials, and the mean score of every cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from statistics import fmean

from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import trial_state
from orchestrator.sweep.plan import Cell, Plan


def summary_metrics(plan: Plan, records: Mapping[str, TrialRecord]) -> dict[str, float]:
    """The trials wanted, trained and failed, the seconds of training, and each cell's mean accuracy, in 0..1, over its finished seeds."""
    states = [trial_state(trial, records[trial.fingerprint], held=False) for trial in plan.trials]
    executions = [record.execution for record in records.values() if record.execution is not None]
    metrics: dict[str, float] = {
        "sweep/trials": len(plan.trials),
        "sweep/trials_trained": sum(record.result is not None for record in records.values()),
        "sweep/trials_failed": states.count("failed"),
        "sweep/train_seconds": sum(execution.train_seconds for execution in executions),
    }
    means = {f"cells/{_allowed(cell.name)}": _mean(cell, records) for cell in plan.cells}
    return metrics | {name: mean for name, mean in means.items() if mean is not None and math.isfinite(mean)}


def _mean(cell: Cell, records: Mapping[str, TrialRecord]) -> float | None:
    known = [records[recipe.fingerprint].evaluations.get(cell.evaluation.fingerprint) for recipe in cell.recipes]
    scores = [score.accuracy for score in known if score is not None]
    return fmean(scores) if scores else None


def _allowed(name: str) -> str:
    """The name, with only the characters that MLflow allows in a metric's name."""
    return " ".join(re.sub(r"[^\w.\- :]", " ", name, flags=re.ASCII).split())[:200]
