"""Writes the log of a running trial, and reports its events."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from fsl_core.provenance import host_name, now
from fsl_core.training.attempt import AttemptJournal
from fsl_core.training.progress import Progress
from fsl_core.training.result import TrialResult
from orchestrator.execution.job import EventKind, EventListener, TrialEvent, TrialJob


@dataclass
class Journal(AttemptJournal):
    """The log and the events of one attempt at a trial. ``best``: the meta-validation accuracy, in 0..1, of the weights selected so far."""

    job: TrialJob
    on_event: EventListener
    log: TextIO
    best: float | None = None

    def write(self, message: str) -> None:
        """Add a line to the trial's log."""
        try:
            print(f"{now()} {message}", file=self.log, flush=True)
        except OSError as error:  # a full disk must not hide the message
            print(f"{self.job.fingerprint}: {message} (log: {error})", file=sys.stderr)

    def notice(self, message: str) -> None:
        """Add a line to the log, and report it as a notice."""
        self.write(message)
        self.send("notice", message=message)

    def begins(self, attempt: int) -> None:
        """Log that an attempt at the training begins."""
        self.write(f"attempt {attempt} on {host_name()}")

    def reached(self, progress: Progress) -> None:
        """Report a point of the curves."""
        self.best = progress.best
        self.send("progress", step=progress.step, steps=progress.steps, metrics=dict(progress.metrics))

    def scoring(self, result: TrialResult) -> None:
        """Report that the trial is scored."""
        self.send("scoring", step=result.steps_done)

    def send(
        self, kind: EventKind, *, step: int = 0, steps: int = 0, metrics: Mapping[str, float] | None = None, message: str = ""
    ) -> None:
        """Report an event."""
        event = TrialEvent(
            kind=kind,
            fingerprint=self.job.fingerprint,
            step=step,
            steps=steps or self.job.recipe.steps,
            best=self.best,
            metrics=metrics or {},
            message=message,
        )
        self.on_event(event)
