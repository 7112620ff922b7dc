"""What an attempt at a trial writes down beside its results: how far it is, and who computed what, where and for how long."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.result import TrialResult
from fsl_core.training.trial import Progress
from orchestrator.errors import StoreError
from orchestrator.execution.job import TrialJob
from orchestrator.execution.machine import device_name, peak_memory_bytes, versions
from orchestrator.provenance import host_name, now, running_code
from orchestrator.records import ExecutionRecord, ProgressRecord, ScoringRecord, TrialRecord
from orchestrator.store import Store
from orchestrator.trial_state import attempts_of


@dataclass
class Bookkeeping:
    """The seconds and attempts of a trial, summed over its attempts, in ``progress.json`` and ``execution.json``.

    The training and each evaluation have a record of their own: a later evaluation, by other code or on another machine, says
    nothing about who trained.
    """

    job: TrialJob
    store: Store
    progress: ProgressRecord
    execution: ExecutionRecord | None
    began: float = field(default_factory=time.perf_counter)

    @staticmethod
    def begin(job: TrialJob, store: Store, record: TrialRecord) -> Bookkeeping:
        """The books as the last attempt left them."""
        before = record.progress or ProgressRecord(
            step=0, steps=job.recipe.steps, best=None, train_seconds=0.0, attempts=0, started_at=now(), at=now()
        )
        progress = dataclasses.replace(before, attempts=attempts_of(record), metrics={})
        return Bookkeeping(job, store, progress, record.execution)

    def attempt_begins(self) -> int:
        """Count one attempt at the training more, on disk before any work of it: its death may be near. Returns its number."""
        self.progress = dataclasses.replace(self.progress, attempts=self.progress.attempts + 1)
        self._write_progress(self.progress)
        return self.progress.attempts

    def reached(self, progress: Progress) -> None:
        """Note a point of the curves."""
        self._write_progress(
            dataclasses.replace(
                self.progress, step=progress.step, steps=progress.steps, best=progress.best, metrics=dict(progress.metrics)
            )
        )

    def stopped(self) -> None:
        """Keep the seconds of an attempt that was stopped between two points."""
        self._write_progress(self.progress)

    def _write_progress(self, progress: ProgressRecord) -> None:
        noted = dataclasses.replace(progress, train_seconds=self._train_seconds(), at=now())
        self.store.write_progress(self.job.fingerprint, noted)
        self.progress = dataclasses.replace(progress, at=noted.at)

    def _train_seconds(self) -> float:
        """Seconds of all attempts; ``self.progress`` keeps those of the earlier ones alone."""
        return self.progress.train_seconds + time.perf_counter() - self.began

    def trained(self, result: TrialResult, path: ExecutionPath) -> None:
        """Record who trained; scores that are there already keep their own records."""
        self._write_execution(
            ExecutionRecord(
                train_seconds=self._train_seconds(),
                steps=result.steps_done,
                attempts=self.progress.attempts,
                started_at=self.progress.started_at,
                evaluations=self.execution.evaluations if self.execution else {},
                **self._here(path),
            )
        )

    def scored(self, evaluation: Evaluation, seconds: float, path: ExecutionPath) -> None:
        """Record who scored one evaluation. Where the training's record was lost there is nothing to add it to."""
        if self.execution is not None:
            score = ScoringRecord(seconds=seconds, **self._here(path))
            scores = {**self.execution.evaluations, evaluation.fingerprint: score}
            self._write_execution(dataclasses.replace(self.execution, evaluations=scores))

    def _write_execution(self, record: ExecutionRecord) -> None:
        self.store.write_execution(self.job.fingerprint, record)
        self.execution = record

    def _here(self, path: ExecutionPath) -> Mapping[str, Any]:
        """Facts of this process, found out in it: the driver's may be others."""
        code = running_code()
        return {
            "host": host_name(),
            "device": path.device,
            "device_name": device_name(path.device),
            "threads": path.threads,
            "finished_at": now(),
            "git_commit": code.git_commit,
            "git_dirty": code.git_dirty,
            "git_problem": code.git_problem,
            "lock_digest": code.lock_digest,
            "code_digest": code.code_digest,
            "versions": versions(),
            "peak_memory_bytes": peak_memory_bytes(path.device),
        }


def recorded_so_far(store: Store, fingerprint: str) -> tuple[int, int]:
    """Attempts at a trial and its step as they are on record, for an attempt that may have ended before its own books began."""
    try:
        record = store.read(fingerprint)
    except StoreError:  # it may be the very error that ended the attempt
        return 0, 0
    return attempts_of(record), record.progress.step if record.progress else 0
