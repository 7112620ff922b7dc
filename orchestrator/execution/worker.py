"""The one function that runs a job, whichever executor calls it."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from fsl_core.datasets.catalogue import SplitDataset, open_dataset
from fsl_core.errors import StopRequested
from fsl_core.listeners import Notice
from fsl_core.provenance import host_name
from fsl_core.training.attempt import Attempt, AttemptRecords, failure_of
from fsl_core.training.attempts import HeldTrial, attempt_all
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.compiled_code import COMPILED_CODE, compiled_code_in
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.result import EvaluationResult, TrialResult
from orchestrator.execution.code_check import check_code
from orchestrator.execution.full_disk import advice
from orchestrator.execution.job import CHOICES, EventListener, TrialEvent, TrialJob
from orchestrator.execution.journal import Journal
from orchestrator.execution.running_trials import recorded_so_far
from orchestrator.records.store import Store
from orchestrator.records.trial_lock import TrialHeldError, trial_lock
from orchestrator.records.trial_record import TrialRecord

_STOP_POLL_SECONDS = 0.5


def execute(job: TrialJob, on_event: EventListener) -> None:
    """Train what is not trained and score what is not scored of a job's trials; ``on_event`` receives its events.

    A trial's own error ends in its folder as ``failure.json`` and in a ``failed`` event, not in an exception: it would end the same way
    again. Completed work is never repeated, and two processes never work on one trial at once. A job whose stop file exists before it
    starts is left as it is.
    """
    if job.stop_file.exists():
        return
    opened = [_TrialWork.opened(each, on_event) for each in sorted(job.trials, key=lambda each: each.fingerprint)]
    waiting = works = [work for work in opened if work is not None]
    try:
        while waiting:  # for a trial that another process holds only while no trial is held here
            held = [work for work in waiting if work.locks(wait=False)]
            waiting = [work for work in waiting if not work.over]
            if not held and waiting:
                held = [work for work in waiting[:1] if work.locks(wait=True)]
            with compiled_code_in(job.runs_root / COMPILED_CODE):
                attempt_all(held)
            waiting = [work for work in waiting if not work.over]
    finally:  # of an interrupted job too
        for work in works:
            work.holds.close()


@dataclass(eq=False)
class _TrialWork(HeldTrial):
    """The work on one trial of the orchestrator's, whose lock and log it holds until its end."""

    job: TrialJob
    store: Store
    journal: Journal
    holds: ExitStack
    over: bool = False
    asked_at: float = 0.0
    stopping: bool = False

    @staticmethod
    def opened(job: TrialJob, on_event: EventListener) -> _TrialWork | None:
        """The work on a trial whose log is open, without its lock; None if its folder cannot be written to."""
        store = Store(job.runs_root)
        paths = store.paths(job.fingerprint)
        try:
            paths.folder.mkdir(parents=True, exist_ok=True)
            log = paths.log.open("a", encoding="utf-8")
        except OSError as error:
            message = f"StoreError: the trial's folder {paths.folder} cannot be written to ({error.strerror})"
            on_event(TrialEvent(kind="failed", fingerprint=job.fingerprint, steps=job.recipe.steps, message=message))
            return None
        holds = ExitStack()
        holds.callback(_close, log)
        return _TrialWork(job, store, Journal(job, on_event, log), holds)

    def locks(self, *, wait: bool) -> bool:
        """Lock the trial; false if another process holds it, or where that ends this work."""
        try:
            lock, should_stop = self.store.paths(self.job.fingerprint).lock, self.should_stop if wait else None
            self.holds.enter_context(trial_lock(lock, should_stop, on_wait=self._waits))
        except TrialHeldError:
            return False
        except StopRequested as stop:
            self.stopped(stop)
        except Exception as error:
            self.failed(error)
        return not self.over

    def _waits(self) -> None:
        self.journal.notice("waiting for another process, which works on this trial")

    def _end(self) -> None:
        self.over = True
        self.holds.close()

    def begin(self) -> tuple[Attempt, TrialResult | None]:
        check_code(self.job.code_digest)
        job, records = self.job, _StoreRecords(self.job.fingerprint, self.store, self.journal.notice)
        record = records.read()
        attempt = self._attempt(record, records)
        self.journal.best = attempt.books.progress.best
        if record.result is None:
            attempt.begin()
        else:
            self.journal.write(f"resumed on {host_name()}: the training is done")
        self.store.write_recipe(job.recipe)
        self.journal.send("started")
        return attempt, record.result

    def done(self, result: TrialResult) -> None:
        if result.status != "diverged":
            self.store.clear_failure(self.job.fingerprint)
        self.journal.send("diverged" if result.status == "diverged" else "finished", step=result.steps_done)
        self._end()

    def stopped(self, stop: StopRequested) -> None:
        self.journal.write(str(stop))
        self.journal.send("stopped")
        self._end()

    def _attempt(self, record: TrialRecord, records: AttemptRecords) -> Attempt:
        job, write = self.job, partial(self.store.write_record, self.job.fingerprint)
        return Attempt(
            recipe=job.recipe,
            evaluations=job.evaluations,
            paths=self.store.paths(job.fingerprint),
            records=records,
            journal=self.journal,
            books=Bookkeeping.begin(job.recipe, write, record.progress, record.execution, record.failure),
            images=self._images,
            asked=ExecutionPath(device=job.compute.device, threads=job.compute.threads),
            path=job.path,
            choices=job.runs_root / CHOICES,
            should_stop=self.should_stop,
        )

    def _images(self) -> SplitDataset:
        """The images, verified in this process: another one's word says nothing of what this machine reads."""
        job = self.job
        return open_dataset(job.recipe.data, data_root=job.data_root, cache_root=job.cache_root, notice=self.journal.write)

    def should_stop(self) -> bool:
        """Whether the stop file is there; looked at no more than twice a second, for it may lie on a network."""
        if not self.stopping and time.monotonic() - self.asked_at > _STOP_POLL_SECONDS:
            self.asked_at = time.monotonic()
            self.stopping = self.job.stop_file.exists()
        return self.stopping

    def failed(self, error: Exception) -> None:
        """Leave the error in the trial's folder and tell it."""
        attempts, step = recorded_so_far(self.store, self.job.fingerprint)
        failure = failure_of(error, attempts=attempts)
        self.journal.write(failure.traceback)
        failure = replace(failure, cause=failure.cause + advice(error, self.store.paths(self.job.fingerprint), step))
        try:
            self.store.write_failure(self.job.fingerprint, failure)
        except Exception as second:  # a full disk may be the very error that is being reported
            print(f"{self.job.fingerprint}: {second}", file=sys.stderr)
        self.journal.send("failed", message=failure.cause)
        self._end()


def _close(log: TextIO) -> None:
    with suppress(OSError):  # what a full disk did not take of the log is written again here
        log.close()


@dataclass(frozen=True)
class _StoreRecords(AttemptRecords):
    """What an attempt keeps, in the store; damaged files are taken out of the way before anything is read."""

    fingerprint: str
    store: Store
    notice: Notice

    def read(self) -> TrialRecord:
        """What is known of the trial."""
        record = self.store.read(self.fingerprint)
        for path in tuple(self.store.damaged):
            self.notice(f"a file that is damaged, or of other work, was set aside as {self.store.set_aside(path)}")
        return record

    def scored(self, result: TrialResult) -> Collection[str]:
        return self.read().evaluations

    def write_result(self, result: TrialResult) -> None:
        self.store.write_result(result)

    def write_score(self, score: EvaluationResult) -> None:
        self.store.write_evaluation(score)

    def set_aside(self, path: Path) -> Path | None:
        return self.store.set_aside(path)
