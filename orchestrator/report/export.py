"""Exports records as typed columns. Units are in the columns' names and in the Parquet schema."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fsl_core.atomic_file import write_atomically
from fsl_core.episodes.statistics import confidence_interval_95, mean
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import trial_state
from orchestrator.report.export_columns import COLUMNS, ID_LISTS, LIST, REAL, RENAMED_SETTINGS, STAMP, TEXT, TRUTH, WHOLE
from orchestrator.report.identifiers import PREFIXES, identifier
from orchestrator.report.table_rows import CellRow
from orchestrator.sweep.flat_settings import recipe_settings
from orchestrator.sweep.plan import Plan, PlannedTrial

Row = dict[str, Any]


def frames(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    rows: Sequence[CellRow],
    *,
    run_ids: Mapping[str, str] | None = None,
    held: Collection[str] = (),
) -> dict[str, pd.DataFrame]:
    """The tables ``trials``, ``cells``, ``published``, ``episodes`` and ``curves``; empty ones have all columns and types.

    ``held`` are the fingerprints of the trials that a process works on now. If an algorithm adapts, ``adaptation`` holds each score after
    every adaptation step.
    """
    known = [(trial, records.get(trial.fingerprint) or TrialRecord(fingerprint=trial.fingerprint)) for trial in plan.trials]
    content: dict[str, Iterable[Row]] = {
        "trials": (_trial(trial, record, (run_ids or {}).get(trial.fingerprint), held) for trial, record in known),
        "cells": map(_cell, rows),
        "published": (number for row in rows for number in _published(row)),
        "episodes": (row for trial, record in known for row in _episodes(trial, record)),
        "curves": (row for trial, record in known for row in _curves(trial, record)),
    }
    if any(evaluation.adaptation_steps is not None for trial in plan.trials for evaluation in trial.evaluations):
        content["adaptation"] = (row for trial, record in known for row in _adaptation(trial, record))
    return {name: _frame(name, lines) for name, lines in content.items()}


def write_exports(tables: Mapping[str, pd.DataFrame], folder: Path, form: str) -> list[Path]:
    """Write each table to ``<folder>/<name>.parquet`` or ``.csv``, whole or not at all, and return the files."""
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.{form}"
        write_atomically(path, _parquet(name, table) if form == "parquet" else _csv(name, table))
        paths.append(path)
    return paths


def _frame(name: str, lines: Iterable[Row]) -> pd.DataFrame:
    columns = COLUMNS[name]
    table = pd.DataFrame([_identified(line) for line in lines], columns=list(columns))
    return table.astype({column: kind for column, (kind, _) in columns.items()})


def _identified(line: Row) -> Row:
    """The row with fingerprints, digests, names and versions as identifiers; missing values stay missing."""
    return {column: identifier(column, value) if column in PREFIXES and value else value for column, value in line.items()}


_ARROW = {
    TEXT: pa.string(), WHOLE: pa.int64(), REAL: pa.float64(), TRUTH: pa.bool_(), STAMP: pa.timestamp("ms", "UTC"),
    LIST: pa.list_(pa.string()),
}  # fmt: skip


def _parquet(name: str, table: pd.DataFrame) -> bytes:
    """The table with its types, a description of every column, and the metadata that restores pandas' own types."""
    fields = [pa.field(column, _ARROW[kind], metadata={"description": text}) for column, (kind, text) in COLUMNS[name].items()]
    plain = table.select_dtypes(exclude="datetimetz")  # pandas warns when Arrow inspects times, whose type Arrow keeps anyway
    schema = pa.schema(fields, metadata=pa.Schema.from_pandas(plain, preserve_index=False).metadata)
    arrays = [_arrow(table[field.name], field.type) for field in fields]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out)
    return out.getvalue()


def _arrow(column: pd.Series[Any], kind: pa.DataType) -> pa.Array:
    values = [None if pd.isna(time) else time for time in column] if pa.types.is_timestamp(kind) else column
    return pa.array(values, type=kind, from_pandas=True)


def _csv(name: str, table: pd.DataFrame) -> bytes:
    """Lists in one field, times in ISO 8601."""
    written = table.copy()
    for column, (kind, _) in COLUMNS[name].items():
        if kind == LIST:
            written[column] = table[column].map((" " if column in ID_LISTS else "; ").join)
        if kind == STAMP:
            written[column] = table[column].map(lambda time: time.isoformat(timespec="milliseconds"), na_action="ignore")
    return written.to_csv(index=False).encode()


def _trial(trial: PlannedTrial, record: TrialRecord, run_id: str | None, held: Collection[str]) -> Row:
    row = {**_recipe(trial.recipe), **_provenance(record.execution), "trial_id": trial.fingerprint, "name": trial.name}
    for name in ("stopped_by", "steps_done", "selected_step", "weights_digest", "data_digest"):
        row[name] = getattr(record.result, name, None)
    row["validation_loss_nats"] = getattr(record.result, "validation_loss", None)
    accuracy = record.result.validation_accuracy if record.result else None
    row["validation_accuracy_percent"] = None if accuracy is None else 100 * accuracy
    row["status"] = trial_state(trial, record, held=trial.fingerprint in held)
    row["failure"] = record.failure.cause if record.failure and row["status"] == "failed" else None
    row["mlflow_run_id"] = run_id
    return row


def _recipe(recipe: TrainingRecipe) -> Row:
    return {RENAMED_SETTINGS.get(key, key): value for key, value in recipe_settings(recipe).items()}


_AS_RECORDED = (
    "train_seconds", "started_at", "finished_at", "peak_memory_bytes", "attempts", "host", "threads", "git_commit", "git_dirty",
    "git_problem", "code_digest", "lock_digest",
)  # fmt: skip


def _provenance(execution: ExecutionRecord | None) -> Row:
    if execution is None:
        return {}
    versions = {f"{name}_version": execution.versions.get(name) for name in ("python", "torch", "cuda")}
    recorded = {name: getattr(execution, name) for name in _AS_RECORDED}
    stamps = {name: pd.to_datetime(recorded[name], utc=True, errors="coerce") for name in ("started_at", "finished_at")}
    seconds = {"evaluation_seconds": execution.evaluation_seconds}
    return {**recorded, **versions, **seconds, **stamps, "device": execution.device_name}


_SAME = (
    "algorithm", "variant", "preset", "dataset", "way", "shot", "maml_order", "inductive", "seeds_done", "seeds_wanted", "verdict",
    "verdict_label", "training_ended", "code_versions", "doubt", "short",
)  # fmt: skip


_POINTS = ("ci95_episodes", "ci95_classes", "std_seeds", "difference", "ci95_difference")


def _cell(row: CellRow) -> Row:
    return {
        "cell_id": row.cell,
        "evaluation_id": row.evaluation,
        "trial_ids": [identifier("trial_id", fingerprint) for fingerprint in row.trials],
        **{name: getattr(row, name) for name in _SAME},
        "published_percent": row.compared.accuracy if row.compared else None,
        "compared_with": row.compared.registry if row.compared else None,
        "reproduced_percent": row.reproduced,
        **{f"{name}_points": getattr(row, name) for name in _POINTS},
        **{name: list(getattr(row, name)) for name in ("assumed", "differs", "choices", "overrides")},
    }


def _published(row: CellRow) -> Iterable[Row]:
    for number in row.published:
        yield {
            "cell_id": row.cell,
            **{
                name: getattr(number, name)
                for name in ("registry", "label", "kind", "source", "seeds", "decimals", "choice", "doubt")
            },
            "published_percent": number.accuracy,
            "ci95_points": number.ci95,
            "std_seeds_points": number.std_seeds,
            "test_episodes": number.episodes,
            "is_compared": number is row.compared,
            "differs": list(number.differs),
        }


def _episodes(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for evaluation in trial.evaluations:
        score = record.evaluations.get(evaluation.fingerprint)
        if score is None:
            continue
        for number, correct in enumerate(score.correct):
            yield {
                "trial_id": trial.fingerprint,
                "evaluation_id": evaluation.fingerprint,
                "seed": trial.recipe.seed,
                "way": evaluation.shape.way,
                "shot": evaluation.shape.shot,
                "query_per_class": evaluation.shape.query,
                "adaptation_steps": evaluation.adaptation_steps,
                "inductive": None if evaluation.adaptation_steps is None else evaluation.inductive,
                "episode": number,
                "correct": correct,
                "accuracy_percent": 100 * correct / evaluation.shape.queries,
                "answers": score.answers[number],
                "class_ids": score.classes.names_of(number),
                "episodes_digest": score.episodes_digest,
                "data_digest": score.data_digest,
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
                "maml_order": getattr(trial.recipe.algorithm, "order", None),
                "dataset": trial.recipe.data.dataset,
                "way": evaluation.shape.way,
                "shot": evaluation.shape.shot,
                "adaptation_steps": steps,
                "inductive": evaluation.inductive,
                "accuracy_percent": 100 * mean(accuracies),
                "ci95_points": 100 * confidence_interval_95(accuracies),
            }


def _curves(trial: PlannedTrial, record: TrialRecord) -> Iterable[Row]:
    for metric, curve in sorted(record.result.curves.items()) if record.result else ():
        unit = unit_of(metric)
        for step, value in curve:
            yield {
                "trial_id": trial.fingerprint,
                "seed": trial.recipe.seed,
                "step": step,
                "metric": metric,
                "unit": unit,
                "measured": 100 * value if unit == "percent" else value,
            }


def unit_of(metric: str) -> str:
    """The unit of a curve in exports."""
    return "percent" if metric.endswith("accuracy") else "nats" if metric.endswith("loss") else "dimensionless"
