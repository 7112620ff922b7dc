"""The records as typed columns, for analysis elsewhere: units are in the columns' names and in the Parquet schema."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fsl_core.atomic_file import write_atomically
from fsl_core.recipe import as_plain
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import TrialRecord
from orchestrator.report.aggregate import CellRow

TEXT, WHOLE, REAL, TRUTH = "string", "Int64", "Float64", "boolean"

COLUMNS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "trials": {
        "fingerprint": (TEXT, "names the recipe"),
        "name": (TEXT, "the trial in words"),
        "status": (TEXT, "complete, diverged, failed, running or pending"),
        "stopped_by": (TEXT, "budget, patience or divergence"),
        "algorithm": (TEXT, ""),
        "distance": (TEXT, ""),
        "scale": (REAL, "factor of the similarity"),
        "dataset": (TEXT, ""),
        "split": (TEXT, "class split"),
        "rotations": (TRUTH, "classes turned by 90 degrees count as new ones"),
        "train_way": (WHOLE, "classes of a training episode"),
        "train_shot": (WHOLE, "support images per class"),
        "train_query": (WHOLE, "query images per class"),
        "meta_batch_size": (WHOLE, "episodes of a step"),
        "filters": (WHOLE, "of the backbone"),
        "outer_lr": (REAL, "learning rate"),
        "halve_every": (WHOLE, "steps"),
        "steps_budget": (WHOLE, "steps"),
        "patience": (WHOLE, "steps"),
        "retrain": (TRUTH, "retrained with meta-validation classes"),
        "seed": (WHOLE, "training seed"),
        "steps_done": (WHOLE, "steps"),
        "selected_step": (WHOLE, "step of the selected weights"),
        "validation_accuracy_percent": (REAL, "percent, at the selected step"),
        "weights_digest": (TEXT, "SHA-256"),
        "data_digest": (TEXT, "SHA-256"),
        "train_seconds": (REAL, "seconds, wall clock, all attempts"),
        "attempts": (WHOLE, ""),
        "host": (TEXT, ""),
        "device": (TEXT, "what computed"),
        "threads": (WHOLE, "CPU threads of an operation"),
        "git_commit": (TEXT, ""),
        "git_dirty": (TRUTH, "the working tree differed from the commit"),
        "torch_version": (TEXT, ""),
        "mlflow_run_id": (TEXT, ""),
    },
    "cells": {
        "algorithm": (TEXT, ""),
        "variant": (TEXT, ""),
        "dataset": (TEXT, ""),
        "way": (WHOLE, "classes of an episode"),
        "shot": (WHOLE, "support images per class"),
        "order": (WHOLE, "of MAML's gradient"),
        "published_percent": (REAL, "percent"),
        "published_ci95_points": (REAL, "half the 95% interval, percentage points"),
        "article_2018_percent": (REAL, "percent"),
        "reproduced_percent": (REAL, "percent, mean over seeds"),
        "ci95_episodes_points": (REAL, "half the 95% interval over episodes, percentage points"),
        "std_seeds_points": (REAL, "standard deviation over seeds, percentage points"),
        "seeds_done": (WHOLE, ""),
        "seeds_wanted": (WHOLE, ""),
        "difference_points": (REAL, "reproduced minus published, percentage points"),
        "verdict": (TEXT, ""),
        "differs": (TEXT, "settings unlike the published ones"),
        "doubt": (TEXT, "about the published number"),
        "trials": (TEXT, "fingerprints"),
    },
    "episodes": {
        "fingerprint": (TEXT, "names the recipe"),
        "evaluation": (TEXT, "names the evaluation"),
        "seed": (WHOLE, "training seed"),
        "way": (WHOLE, "classes of an episode"),
        "shot": (WHOLE, "support images per class"),
        "query": (WHOLE, "query images per class"),
        "episode": (WHOLE, "number of the frozen episode"),
        "correct": (WHOLE, "query images classified rightly"),
        "accuracy_percent": (REAL, "percent"),
    },
    "curves": {
        "fingerprint": (TEXT, "names the recipe"),
        "seed": (WHOLE, "training seed"),
        "step": (WHOLE, "training steps done"),
        "metric": (TEXT, "accuracies and losses of one interval"),
        "value": (REAL, "accuracies in 0..1"),
    },
}
"""The exported tables: each column's type and what it holds."""

Row = dict[str, Any]


def frames(
    plan: Plan, records: Mapping[str, TrialRecord], rows: Sequence[CellRow], *, run_ids: Mapping[str, str] | None = None
) -> dict[str, pd.DataFrame]:
    """The four tables ``trials``, ``cells``, ``episodes`` and ``curves``, with their columns and types even where they are empty."""
    content: dict[str, Iterable[Row]] = {
        "trials": (_trial(trial, records[trial.fingerprint], (run_ids or {}).get(trial.fingerprint)) for trial in plan.trials),
        "cells": map(_cell, rows),
        "episodes": (row for trial in plan.trials for row in _episodes(trial, records[trial.fingerprint])),
        "curves": (row for trial in plan.trials for row in _curves(trial, records[trial.fingerprint])),
    }
    return {name: _frame(name, lines) for name, lines in content.items()}


def write_exports(tables: Mapping[str, pd.DataFrame], folder: Path, form: str) -> list[Path]:
    """Write each table as ``<folder>/<name>.parquet`` or ``.csv``, each whole or not at all; returns the files."""
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.{form}"
        write_atomically(path, _parquet(name, table) if form == "parquet" else table.to_csv(index=False).encode())
        paths.append(path)
    return paths


def _frame(name: str, lines: Iterable[Row]) -> pd.DataFrame:
    columns = COLUMNS[name]
    table = pd.DataFrame(list(lines), columns=list(columns))
    return table.astype({column: kind for column, (kind, _) in columns.items()})


def _parquet(name: str, table: pd.DataFrame) -> bytes:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    fields = [field.with_metadata({"description": COLUMNS[name][field.name][1]}) for field in arrow.schema]
    out = io.BytesIO()
    pq.write_table(arrow.cast(pa.schema(fields, metadata=arrow.schema.metadata)), out)
    return out.getvalue()


def status_of(record: TrialRecord) -> str:
    """A trial's state in a word."""
    if record.result is not None:
        return record.result.status
    if record.failure is not None:
        return "failed"
    return "running" if record.progress is not None else "pending"


def _trial(trial: PlannedTrial, record: TrialRecord, run_id: str | None) -> Row:
    recipe, result, execution = trial.recipe, record.result, record.execution
    accuracy = result.validation_accuracy if result else None
    row: Row = {
        "fingerprint": trial.fingerprint,
        "name": trial.name,
        "status": status_of(record),
        **{key: value for key, value in as_plain(recipe.algorithm).items() if key != "name"},
        "algorithm": recipe.algorithm.name,
        **as_plain(recipe.data),
        "train_way": recipe.episode.way,
        "train_shot": recipe.episode.shot,
        "train_query": recipe.episode.query,
        "meta_batch_size": recipe.meta_batch_size,
        "filters": recipe.backbone.filters,
        "outer_lr": recipe.optimiser.outer_lr,
        "halve_every": recipe.optimiser.halve_every,
        "steps_budget": recipe.steps,
        "patience": recipe.validation.patience,
        "retrain": recipe.retrain,
        "seed": recipe.seed,
        "validation_accuracy_percent": None if accuracy is None else 100 * accuracy,
        "mlflow_run_id": run_id,
    }
    for name in ("stopped_by", "steps_done", "selected_step", "weights_digest", "data_digest"):
        row[name] = getattr(result, name, None)
    for name in ("train_seconds", "attempts", "host", "threads", "git_commit", "git_dirty"):
        row[name] = getattr(execution, name, None)
    row["device"] = execution.device_name if execution else None
    row["torch_version"] = execution.versions.get("torch") if execution else None
    return row


def _cell(row: CellRow) -> Row:
    points = {f"{name}_points": getattr(row, name) for name in ("published_ci95", "ci95_episodes", "std_seeds", "difference")}
    percents = {f"{name}_percent": getattr(row, name) for name in ("published", "article_2018", "reproduced")}
    same = ("algorithm", "variant", "dataset", "way", "shot", "order", "seeds_done", "seeds_wanted", "verdict", "doubt")
    lists = {"differs": "; ".join(row.differs), "trials": " ".join(row.trials)}
    return {**{name: getattr(row, name) for name in same}, **points, **percents, **lists}


def _episodes(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for evaluation in trial.evaluations:
        score = record.evaluations.get(evaluation.fingerprint)
        for number, correct in enumerate(score.correct if score else ()):
            yield {
                "fingerprint": trial.fingerprint,
                "evaluation": evaluation.fingerprint,
                "seed": trial.recipe.seed,
                "way": evaluation.shape.way,
                "shot": evaluation.shape.shot,
                "query": evaluation.shape.query,
                "episode": number,
                "correct": correct,
                "accuracy_percent": 100 * correct / evaluation.shape.queries,
            }


def _curves(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for metric, curve in sorted(record.result.curves.items()) if record.result else ():
        for step, value in curve:
            yield {
                "fingerprint": trial.fingerprint,
                "seed": trial.recipe.seed,
                "step": step,
                "metric": metric,
                "value": value,
            }
