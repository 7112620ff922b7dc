"""The MLflow view of a trial, as a value computed from the trial's record alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fsl_core.recipe.fingerprint import as_plain
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState, trial_state
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.metric_names import curve_name, exact_suffix, representatives
from orchestrator.tracking.run_tags import fitting

MOST_DIGEST_CHARACTERS = 36


@dataclass(frozen=True)
class Point:
    """A value of a metric at a training step. Its time follows from the step, so that a point sent twice is stored once."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True)
class DatasetView:
    """The images of a trial: a readable name, the digest cut to MLflow's limit, and the settings as JSON."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class FileView:
    """A file shown as an artifact, with sixteen hex digits of its SHA-256."""

    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The run of a trial that is not running. Times are milliseconds since 1970, None where the record has none."""

    status: Literal["FINISHED", "FAILED", "KILLED"]
    tags: Mapping[str, str]
    points: tuple[Point, ...]
    dataset: DatasetView | None
    files: Mapping[str, FileView]
    started_ms: int | None
    finished_ms: int | None

    @property
    def digest(self) -> str:
        """The digest of everything shown: equal digests mean that nothing needs to be sent."""
        points = [(point.metric, point.step, point.value) for point in self.points]
        files = {name: file.digest for name, file in self.files.items()}
        return digest_of([self.status, dict(self.tags), points, files, self.finished_ms])


def finite_points(step: int, metrics: Mapping[str, float]) -> tuple[Point, ...]:
    """The finite metrics of a step: MLflow would turn an infinity into 1.8e308."""
    return tuple(Point(name, step, float(value)) for name, value in metrics.items() if math.isfinite(value))


def curve_points(step: int, curves: Mapping[str, float]) -> tuple[Point, ...]:
    """The values of curves at a training step, under MLflow's metric names."""
    return finite_points(step, {curve_name(curve): value for curve, value in curves.items()})


def run_view(trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> RunView:
    """The view of a trial that is not running."""
    execution, state = record.execution, trial_state(trial, record, held=False)
    return RunView(
        status=_STATUS.get(state, "KILLED"),
        tags={key: fitting(value) for key, value in _tags(record, state).items()},
        points=tuple(_points(trial, record)),
        dataset=_dataset(record),
        files=_files(paths),
        started_ms=_milliseconds(execution.started_at) if execution else None,
        finished_ms=_milliseconds(execution.finished_at) if execution else None,
    )


_STATUS: Mapping[TrialState, Literal["FINISHED", "FAILED"]] = {"done": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}
"""MLflow's status of a trial that has ended; an idle trial in any other state was KILLED."""


def _tags(record: TrialRecord, state: TrialState) -> dict[str, str]:
    tags: dict[str, str | None] = {"fsl.state": state}
    if record.result is not None:
        result = record.result
        tags |= {"fsl.outcome": result.status, "fsl.stopped_by": result.stopped_by}
        tags |= {"fsl.data_digest": result.data_digest, "fsl.weights_digest": result.weights_digest}
    if record.failure is not None and state == "failed":
        tags |= {"fsl.outcome": "failed", "fsl.cause": record.failure.cause}
    if record.execution is not None:
        tags |= _execution_tags(record.execution)
    return {key: value for key, value in tags.items() if value is not None}


def _execution_tags(execution: ExecutionRecord) -> dict[str, str | None]:
    return {
        "mlflow.source.git.commit": execution.git_commit,
        "fsl.git_dirty": None if execution.git_dirty is None else str(execution.git_dirty).lower(),
        "fsl.lock_digest": execution.lock_digest,
        "fsl.host": execution.host,
        "fsl.device": execution.device_name or execution.device,
        "fsl.attempts": str(execution.attempts),
        "fsl.versions": json.dumps(dict(execution.versions), sort_keys=True),
    }


def _points(trial: PlannedTrial, record: TrialRecord) -> Iterator[Point]:
    result = record.result
    if result is None:
        return
    for name, curve in sorted(result.curves.items()):
        for step, value in curve:
            yield from curve_points(step, {name: value})
    for score in record.evaluations.values():
        yield from _points_by_adaptation_step(score)
    yield from finite_points(result.steps_done, _selection(result, record.execution) | _scores(trial, record, result))


def _selection(result: TrialResult, execution: ExecutionRecord | None) -> dict[str, float]:
    """What is known of the training once it has ended."""
    known = {
        "train/seconds": None if execution is None else execution.train_seconds,
        "validation/selected_step": result.selected_step,
        "validation/selected_accuracy": result.validation_accuracy,
        "validation/selected_loss": result.validation_loss,
    }
    return {name: value for name, value in known.items() if value is not None}


def _scores(trial: PlannedTrial, record: TrialRecord, result: TrialResult) -> dict[str, float]:
    """The accuracy and the interval of every score, under its exact name, and under a short one where it represents others."""
    scores = {each.evaluation: each for each in record.evaluations.values()}
    named = {exact_suffix(evaluation): evaluation for evaluation in scores} | representatives(result.recipe, trial.evaluations)
    values: dict[str, float] = {}
    for suffix, evaluation in sorted(named.items(), key=lambda item: item[0]):
        if evaluation in scores:
            values |= {f"test/accuracy_{suffix}": scores[evaluation].accuracy, f"test/ci95_{suffix}": scores[evaluation].ci95}
    return values


def _points_by_adaptation_step(score: EvaluationResult) -> Iterator[Point]:
    name = f"test/accuracy_{exact_suffix(score.evaluation)}_by_adaptation_step"
    for steps, correct in enumerate(score.correct_by_step or ()):
        yield Point(name, steps, sum(correct) / (len(correct) * score.evaluation.shape.queries))


def _dataset(record: TrialRecord) -> DatasetView | None:
    if record.result is None:
        return None
    data, digest = record.result.recipe.data, record.result.data_digest
    source = json.dumps({**as_plain(data), "sha256": digest}, sort_keys=True)
    return DatasetView(name=f"{data.dataset} ({data.split})", digest=digest[:MOST_DIGEST_CHARACTERS], source=source)


def _files(paths: TrialPaths) -> dict[str, FileView]:
    own = (paths.selected, paths.result, paths.failure, paths.log, paths.picture)
    scores = sorted(paths.evaluations.glob("*.json")) if paths.evaluations.is_dir() else []
    return file_views(own) | file_views(scores, "evaluations/")


def file_views(files: Sequence[Path], folder: str = "") -> dict[str, FileView]:
    """The existing ones of the files, by their names in MLflow."""
    return {f"{folder}{path.name}": FileView(path, _file_digest(path)) for path in files if path.is_file()}


def grouped_files(files: Sequence[Path]) -> dict[str, FileView]:
    """A table's files by their names in MLflow: text forms, figures and exports in separate folders."""
    groups = {".png": "figures/", ".svg": "figures/", ".parquet": "exports/"}
    views: dict[str, FileView] = {}
    for path in files:
        views |= file_views([path], groups.get(path.suffix, "table/"))
    return views


def digest_of(shown: Any) -> str:
    """Thirty-two hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _milliseconds(iso: str | None) -> int | None:
    return None if not iso else round(datetime.fromisoformat(iso).timestamp() * 1000)
