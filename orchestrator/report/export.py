"""The records as typed columns, for analysis elsewhere: units are in the columns' names and in the Parquet schema."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fsl_core.atomic_file import write_atomically
from fsl_core.fingerprint import as_plain
from fsl_core.recipe import TrainingRecipe
from fsl_core.statistics import confidence_interval_95, mean
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import ExecutionRecord, TrialRecord
from orchestrator.report.aggregate import CellRow
from orchestrator.report.export_columns import COLUMNS
from orchestrator.report.identifiers import PREFIXES, identifier
from orchestrator.trial_state import trial_state

Row = dict[str, Any]


def frames(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    rows: Sequence[CellRow],
    *,
    run_ids: Mapping[str, str] | None = None,
    held: Collection[str] = (),
) -> dict[str, pd.DataFrame]:
    """The tables ``trials``, ``cells``, ``episodes`` and ``curves``, with their columns and types even where they are empty.

    ``held`` are the fingerprints of the trials that a process works on now. Where something adapts there is also ``adaptation``: each
    score after every number of adaptation steps up to its own.
    """
    known = [(trial, records.get(trial.fingerprint) or TrialRecord(fingerprint=trial.fingerprint)) for trial in plan.trials]
    content: dict[str, Iterable[Row]] = {
        "trials": (_trial(trial, record, (run_ids or {}).get(trial.fingerprint), held) for trial, record in known),
        "cells": map(_cell, rows),
        "episodes": (row for trial, record in known for row in _episodes(trial, record)),
        "curves": (row for trial, record in known for row in _curves(trial, record)),
    }
    if any(evaluation.adaptation_steps is not None for trial in plan.trials for evaluation in trial.evaluations):
        content["adaptation"] = (row for trial, record in known for row in _adaptation(trial, record))
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
    table = pd.DataFrame([_identified(line) for line in lines], columns=list(columns))
    return table.astype({column: kind for column, (kind, _) in columns.items()})


def _identified(line: Row) -> Row:
    """The row with its bare fingerprints, digests, names and versions as identifiers; what is missing stays missing."""
    return {column: identifier(column, value) if column in PREFIXES and value else value for column, value in line.items()}


def _parquet(name: str, table: pd.DataFrame) -> bytes:
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    fields = [field.with_metadata({"description": COLUMNS[name][field.name][1]}) for field in arrow.schema]
    out = io.BytesIO()
    pq.write_table(arrow.cast(pa.schema(fields, metadata=arrow.schema.metadata)), out)
    return out.getvalue()


def _trial(trial: PlannedTrial, record: TrialRecord, run_id: str | None, held: Collection[str]) -> Row:
    row = {**_recipe(trial.recipe), **_provenance(record.execution), "trial_id": trial.fingerprint, "name": trial.name}
    for name in ("stopped_by", "steps_done", "selected_step", "weights_digest", "data_digest"):
        row[name] = getattr(record.result, name, None)
    accuracy = record.result.validation_accuracy if record.result else None
    row["validation_accuracy_percent"] = None if accuracy is None else 100 * accuracy
    row["status"] = trial_state(trial, record, held=trial.fingerprint in held)
    row["failure"] = record.failure.cause if record.failure and row["status"] == "failed" else None
    row["mlflow_run_id"] = run_id
    return row


def _recipe(recipe: TrainingRecipe) -> Row:
    watched = recipe.validation
    return {
        **{key: value for key, value in as_plain(recipe.algorithm).items() if key != "name"},
        "algorithm": recipe.algorithm.name,
        **as_plain(recipe.data),
        "train_way": recipe.episode.way,
        "train_shot": recipe.episode.shot,
        "train_query": recipe.episode.query,
        "meta_batch_size": recipe.meta_batch_size,
        **{key: value for key, value in as_plain(recipe.backbone).items() if key != "name"},
        "backbone": recipe.backbone.name,
        "downsampling": getattr(recipe.backbone, "downsampling", None),
        "batch_norm": recipe.backbone.batch_norm,
        "outer_lr": recipe.optimiser.outer_lr,
        "halve_every": recipe.optimiser.halve_every,
        "clip_norm": recipe.optimiser.clip_norm,
        "clip_value": recipe.optimiser.clip_value,
        "steps_budget": recipe.steps,
        **{f"validation_{name}": value for name, value in as_plain(watched.shape).items()},
        "validation_every": watched.every,
        "validation_adaptation_steps": watched.adaptation_steps,
        "validation_episodes": watched.episodes,
        "patience": watched.patience,
        "retrain": recipe.retrain,
        "seed": recipe.seed,
    }


_AS_RECORDED = (
    "train_seconds", "started_at", "finished_at", "peak_memory_bytes", "attempts", "host", "threads", "git_commit", "git_dirty",
    "lock_digest",
)  # fmt: skip


def _provenance(execution: ExecutionRecord | None) -> Row:
    if execution is None:
        return {}
    versions = {f"{name}_version": execution.versions.get(name) for name in ("python", "torch", "cuda")}
    recorded = {name: getattr(execution, name) for name in _AS_RECORDED}
    return {**recorded, **versions, "evaluation_seconds": execution.evaluation_seconds, "device": execution.device_name}


def _cell(row: CellRow) -> Row:
    points = {f"{name}_points": getattr(row, name) for name in ("published_ci95", "ci95_episodes", "std_seeds", "difference")}
    percents = {f"{name}_percent": getattr(row, name) for name in ("published", "article_2018", "reproduced")}
    same = (
        "algorithm",
        "variant",
        "dataset",
        "way",
        "shot",
        "order",
        "published_source",
        "seeds_done",
        "seeds_wanted",
        "doubt",
        "short",
    )
    verdicts = {"verdict": row.verdict, "verdict_label": row.verdict_label}
    lists = {
        "differs": "; ".join(row.differs) or None,
        "overrides": " ".join(row.overrides) or None,
        "trials": " ".join(identifier("trial_id", each) for each in row.trials),
    }
    return {**{name: getattr(row, name) for name in same}, **points, **percents, **verdicts, **lists}


def _episodes(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for evaluation in trial.evaluations:
        score = record.evaluations.get(evaluation.fingerprint)
        for number, correct in enumerate(score.correct if score else ()):
            yield {
                "trial_id": trial.fingerprint,
                "evaluation_id": evaluation.fingerprint,
                "seed": trial.recipe.seed,
                "way": evaluation.shape.way,
                "shot": evaluation.shape.shot,
                "query": evaluation.shape.query,
                "adaptation_steps": evaluation.adaptation_steps,
                "episode": number,
                "correct": correct,
                "accuracy_percent": 100 * correct / evaluation.shape.queries,
            }


def _adaptation(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for evaluation in trial.evaluations:
        score = record.evaluations.get(evaluation.fingerprint)
        for steps, correct in enumerate((score.correct_by_step if score else None) or ()):
            accuracies = [count / evaluation.shape.queries for count in correct]
            yield {
                "trial_id": trial.fingerprint,
                "evaluation_id": evaluation.fingerprint,
                "seed": trial.recipe.seed,
                "order": getattr(trial.recipe.algorithm, "order", None),
                "dataset": trial.recipe.data.dataset,
                "way": evaluation.shape.way,
                "shot": evaluation.shape.shot,
                "adaptation_steps": steps,
                "accuracy_percent": 100 * mean(accuracies),
                "ci95_points": 100 * confidence_interval_95(accuracies),
            }


def _curves(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for metric, curve in sorted(record.result.curves.items()) if record.result else ():
        for step, value in curve:
            yield {
                "trial_id": trial.fingerprint,
                "seed": trial.recipe.seed,
                "step": step,
                "metric": metric,
                "value": value,
            }
