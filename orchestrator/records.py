"""What is known of a trial: its result, its scores, how it was executed, why it failed, how far it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from fsl_core.recipe.fingerprint import SCHEMA_VERSION
from fsl_core.training.result import MOST_STEPS, EvaluationResult, TrialResult

_STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_CENTURIES = range(2000, 2200)


def _a_time(text: str) -> str:
    """The text, which must be a time with its zone that every calendar can hold."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None or time.year not in _CENTURIES:
        raise ValueError("not a time of these centuries, with its zone")
    return text


Count = Annotated[int, Field(ge=0, le=MOST_STEPS)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Time = Annotated[str, AfterValidator(_a_time)]


@dataclass(frozen=True, kw_only=True)
class ComputedBy:
    """Who computed something, along which execution path, and when it was done (ISO, UTC)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    host: str
    device: Literal["cpu", "cuda"]
    device_name: str
    threads: Annotated[int, Field(ge=1, le=MOST_STEPS)]
    finished_at: Time
    git_commit: str | None = None
    git_dirty: bool | None = None
    git_problem: str | None = None
    lock_digest: str | None = None
    code_digest: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    peak_memory_bytes: Count | None = None


@dataclass(frozen=True, kw_only=True)
class ScoringRecord(ComputedBy):
    """How one evaluation was computed, in ``seconds`` of wall clock."""

    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord(ComputedBy):
    """How the training was executed, its seconds of wall clock summed over attempts; and each evaluation, by its fingerprint."""

    train_seconds: Seconds
    steps: Count
    attempts: Count
    started_at: Time
    evaluations: Mapping[str, ScoringRecord] = field(default_factory=dict)

    @property
    def evaluation_seconds(self) -> float | None:
        """Seconds of all evaluations together; None before the first."""
        return sum(each.seconds for each in self.evaluations.values()) if self.evaluations else None


@dataclass(frozen=True, kw_only=True)
class FailureRecord:
    """Why a trial failed last: the error in one line, its traceback, the attempts so far and the time (ISO, UTC)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    cause: str
    traceback: str
    attempts: Count
    at: Time


@dataclass(frozen=True, kw_only=True)
class ProgressRecord:
    """How far a trial is, as of its last checkpoint. ``best`` is the meta-validation accuracy, in 0..1, of the weights selected so far."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    step: Count
    steps: Count
    best: Fraction | None
    train_seconds: Seconds
    attempts: Count
    started_at: Time
    at: Time
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """All that a trial's folder says; ``evaluations`` by their fingerprints. What is missing is None.

    ``edition`` is that of the recipes which the trial is of. One of an earlier edition has neither a result nor scores here: what its
    folder holds of them is kept, and is no number of today.
    ``unsealed`` names the files without a digest of their own content, from before records had one: an edit of them shows nowhere.
    """

    fingerprint: str
    result: TrialResult | None = None
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    execution: ExecutionRecord | None = None
    failure: FailureRecord | None = None
    progress: ProgressRecord | None = None
    unsealed: tuple[str, ...] = ()
    edition: int = SCHEMA_VERSION


Record = TypeVar("Record", ExecutionRecord, FailureRecord, ProgressRecord)

_READERS: Mapping[type, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (ExecutionRecord, FailureRecord, ProgressRecord)}


def record_from_plain(kind: type[Record], plain: Mapping[str, Any]) -> Record:
    """The record that ``dataclasses.asdict`` made plain. Raises ValueError when a key, a type or a range is not the record's."""
    record: Record = _READERS[kind].validate_json(json.dumps(plain, allow_nan=False))
    return record
