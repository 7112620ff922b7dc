"""What MLflow shall show of a trial, as a value made from the trial's record alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from fsl_core.fingerprint import as_plain
from fsl_core.recipe import Evaluation, TrainingRecipe
from orchestrator.plan import PlannedTrial
from orchestrator.records import ExecutionRecord, TrialRecord
from orchestrator.store import TrialPaths
from orchestrator.tracking.run_tags import fitting
from orchestrator.trial_state import TrialState, trial_state

USUAL_QUERY = 15
"""Query images a class of nearly every published evaluation: left unsaid in a metric's name."""

MOST_PARAM_CHARACTERS = 6000
MOST_DIGEST_CHARACTERS = 36


@dataclass(frozen=True)
class Point:
    """A value of a metric at a training step. Its time is made from the step, so that sending it twice stores it once."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True)
class DatasetView:
    """The images a trial was trained on: a name people know, the digest cut to what MLflow keeps, and the settings as JSON."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class FileView:
    """A file shown as an artifact, and sixteen hex digits of its SHA-256."""

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
        """Names everything shown: equal digests mean that there is nothing to send again."""
        points = [(point.metric, point.step, point.value) for point in self.points]
        files = {name: file.digest for name, file in self.files.items()}
        return digest_of([self.status, dict(self.tags), points, files, self.finished_ms])


def flat_params(recipe: TrainingRecipe) -> dict[str, str]:
    """The recipe as MLflow parameters: ``episode.way`` and so on; an algorithm, a backbone, an optimiser by its name."""
    return {key.removesuffix(".name"): text[:MOST_PARAM_CHARACTERS] for key, text in _flatten("", as_plain(recipe))}


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else key, inner)
    else:
        yield prefix, str(value)


def metric_suffix(evaluation: Evaluation) -> str:
    """What tells this evaluation's metrics from another's, such as ``5way_1shot``; only unusual settings are said."""
    shape = evaluation.shape
    usual = {"adaptation_steps": None, "query": USUAL_QUERY, "episodes": Evaluation.episodes, "seed": Evaluation.seed}
    actual = {
        "adaptation_steps": evaluation.adaptation_steps,
        "query": shape.query,
        "episodes": evaluation.episodes,
        "seed": evaluation.seed,
    }
    unusual = [f"_{actual[name]}{name}" for name in usual if actual[name] != usual[name]]
    return f"{shape.way}way_{shape.shot}shot{''.join(unusual)}"


def finite_points(step: int, metrics: Mapping[str, float]) -> tuple[Point, ...]:
    """The metrics of a step without those that are not numbers: MLflow would turn an infinity into 1.8e308."""
    return tuple(Point(name, step, float(value)) for name, value in metrics.items() if math.isfinite(value))


def run_view(trial: PlannedTrial, record: TrialRecord, paths: TrialPaths, pictures: Sequence[Path] = ()) -> RunView:
    """What MLflow shall show of a trial that is not running now."""
    execution, state = record.execution, trial_state(trial, record, held=False)
    return RunView(
        status=_STATUS.get(state, "KILLED"),
        tags={key: fitting(value) for key, value in _tags(record, state).items()},
        points=tuple(_points(record)),
        dataset=_dataset(record),
        files=_files(paths, pictures),
        started_ms=_milliseconds(execution.started_at) if execution else None,
        finished_ms=_milliseconds(execution.finished_at) if execution else None,
    )


_STATUS: Mapping[TrialState, Literal["FINISHED", "FAILED"]] = {"done": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}
"""What MLflow calls the states in which a trial has ended; one that nobody works on in any other state was KILLED."""


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


def _points(record: TrialRecord) -> Iterator[Point]:
    result = record.result
    if result is None:
        return
    for name, curve in sorted(result.curves.items()):
        for step, value in curve:
            yield from finite_points(step, {name: value})
    last: dict[str, float] = {}
    if record.execution is not None:
        last["train_seconds"] = record.execution.train_seconds
    if result.selected_step is not None:
        last["selected_step"] = result.selected_step
    if result.validation_accuracy is not None:
        last["best_validation_accuracy"] = result.validation_accuracy
    for score in sorted(record.evaluations.values(), key=lambda score: score.evaluation.fingerprint):
        suffix = metric_suffix(score.evaluation)
        last |= {f"test_accuracy_{suffix}": score.accuracy, f"test_ci95_{suffix}": score.ci95}
        last[f"test_accuracy_percent_{suffix}"] = 100 * score.accuracy
        for steps, correct in enumerate(score.correct_by_step or ()):
            adapted = sum(correct) / (len(correct) * score.evaluation.shape.queries)
            yield Point(f"test_accuracy_{suffix}_by_adaptation_step", steps, adapted)
    yield from finite_points(result.steps_done, last)


def _dataset(record: TrialRecord) -> DatasetView | None:
    if record.result is None:
        return None
    data, digest = record.result.recipe.data, record.result.data_digest
    source = json.dumps({**as_plain(data), "sha256": digest}, sort_keys=True)
    return DatasetView(name=f"{data.dataset} ({data.split})", digest=digest[:MOST_DIGEST_CHARACTERS], source=source)


def _files(paths: TrialPaths, pictures: Sequence[Path]) -> dict[str, FileView]:
    own = (paths.selected, paths.result, paths.failure, paths.log, paths.picture, *pictures)
    scores = sorted(paths.evaluations.glob("*.json")) if paths.evaluations.is_dir() else []
    return file_views(own) | file_views(scores, "evaluations/")


def file_views(files: Sequence[Path], folder: str = "") -> dict[str, FileView]:
    """Those of the files that are there, by the name that they shall have in MLflow."""
    return {f"{folder}{path.name}": FileView(path, _file_digest(path)) for path in files if path.is_file()}


def digest_of(shown: Any) -> str:
    """Thirty-two hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:32]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _milliseconds(iso: str | None) -> int | None:
    return None if not iso else round(datetime.fromisoformat(iso).timestamp() * 1000)
