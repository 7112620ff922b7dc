"""What a driver knows of trials that run in other processes, and what it records of one whose worker cannot."""

from __future__ import annotations

from fsl_core.provenance import now
from fsl_core.training.trial_records import FailureRecord
from orchestrator.errors import StoreError
from orchestrator.execution.job import ENDS, EventListener, TrialEvent, TrialJob
from orchestrator.records.store import Store
from orchestrator.records.trial_state import attempts_of

WORKER_DEATHS_FORGIVEN = 3


class RunningTrials:
    """Passes events on to the driver, and remembers which trials are running and which ended."""

    def __init__(self, on_event: EventListener) -> None:
        self._on_event = on_event
        self.running: set[str] = set()
        self.ended: set[str] = set()
        self._done: set[str] = set()

    def event(self, event: TrialEvent) -> None:
        """Take in an event, and pass it on. A trial that is done ends once, though a job that is repeated includes it."""
        if event.fingerprint in self._done and event.kind != "notice":
            return
        if event.kind == "started":
            self.running.add(event.fingerprint)
        elif event.kind in ENDS:
            self.running.discard(event.fingerprint)
            self.ended.add(event.fingerprint)
        if event.kind in ("finished", "diverged"):
            self._done.add(event.fingerprint)
        self._on_event(event)

    def notice(self, fingerprint: str, message: str) -> None:
        """Pass on a sentence about a trial."""
        self._on_event(TrialEvent(kind="notice", fingerprint=fingerprint, message=message))

    def worker_died(self, fingerprint: str) -> None:
        """Take in that a trial waits for another worker."""
        self.running.discard(fingerprint)
        self.notice(fingerprint, "its worker died; another one resumes from the last checkpoint")

    def all_died(self, fate: str) -> None:
        """Take in that no trial is running any more; those that were hear why, and what becomes of them."""
        for fingerprint in sorted(self.running):
            self.notice(fingerprint, fate)
        self.running.clear()


def cause_of(error: str) -> str:
    """An error that ended a trial from outside, in one line."""
    died = f"its worker died {WORKER_DEATHS_FORGIVEN + 1} times"
    if "running low on memory" in error:
        return f"{died}, at last because the memory ran out"
    lines = error.strip().splitlines() or [""]
    return lines[-1] if "Traceback" in error or "ray::" in error else died


def recorded_so_far(store: Store, fingerprint: str) -> tuple[int, int]:
    """Attempts at a trial and its step as they are on record, for an attempt that may have ended before its own books began."""
    try:
        record = store.read(fingerprint)
    except StoreError:  # it may be the very error that ended the attempt
        return 0, 0
    return attempts_of(record), record.progress.step if record.progress else 0


def record_failure(job: TrialJob, cause: str, error: str) -> TrialEvent:
    """Record a trial whose workers died under it, or never came up; the rest of the trial's records stay as they are."""
    store = Store(job.runs_root)
    try:
        attempts = max(1, attempts_of(store.read(job.fingerprint)))
        store.write_failure(job.fingerprint, FailureRecord(cause=cause, traceback=error, attempts=attempts, at=now()))
    except StoreError as second:
        cause = f"{cause} ({second})"
    return TrialEvent(kind="failed", fingerprint=job.fingerprint, steps=job.recipe.steps, message=cause)
