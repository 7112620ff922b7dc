"""What is known of a trial: its result, its scores, how it was executed, why it failed, how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fsl_core.result import EvaluationResult, TrialResult


@dataclass(frozen=True, kw_only=True)
class ComputedBy:
    """Who computed something, along which execution path, and when it was done (ISO, UTC)."""

    host: str
    device: str
    device_name: str
    threads: int
    finished_at: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    git_problem: str | None = None
    lock_digest: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class ScoringRecord(ComputedBy):
    """How one evaluation was computed, in ``seconds`` of wall clock."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord(ComputedBy):
    """How the training was executed, its seconds of wall clock summed over attempts; and each evaluation, by its fingerprint."""

    train_seconds: float
    steps: int
    attempts: int
    started_at: str
    evaluations: Mapping[str, ScoringRecord] = field(default_factory=dict)

    @property
    def seconds_per_step(self) -> float | None:
        """Training seconds of one step, validation included; None when no step was taken."""
        return self.train_seconds / self.steps if self.steps else None

    @property
    def evaluation_seconds(self) -> float | None:
        """Seconds of all evaluations together; None before the first."""
        return sum(each.seconds for each in self.evaluations.values()) if self.evaluations else None


@dataclass(frozen=True, kw_only=True)
class FailureRecord:
    """Why a trial failed last: the error in one line, its traceback, the attempts so far and the time (ISO, UTC)."""

    cause: str
    traceback: str
    attempts: int
    at: str


@dataclass(frozen=True, kw_only=True)
class ProgressRecord:
    """How far a trial is, as of its last checkpoint. ``best`` is the best meta-validation accuracy so far, in 0..1."""

    step: int
    steps: int
    best: float | None
    train_seconds: float
    attempts: int
    started_at: str
    at: str
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """All that a trial's folder says; ``evaluations`` by their fingerprints. What is missing is None."""

    fingerprint: str
    result: TrialResult | None = None
    evaluations: Mapping[str, EvaluationResult] = field(default_factory=dict)
    execution: ExecutionRecord | None = None
    failure: FailureRecord | None = None
    progress: ProgressRecord | None = None


def execution_from_plain(plain: Mapping[str, Any]) -> ExecutionRecord:
    """The record that ``dataclasses.asdict`` made plain. Raises TypeError or AttributeError when it is none."""
    evaluations = {name: ScoringRecord(**each) for name, each in plain["evaluations"].items()}
    return ExecutionRecord(**{**plain, "evaluations": evaluations})
