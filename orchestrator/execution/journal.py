"""What a running trial says: lines of its log for people who look for them, events for those who watch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

from fsl_core.provenance import now
from orchestrator.execution.job import EventKind, TrialEvent, TrialJob

Report = Callable[[TrialEvent], None]


@dataclass
class Journal:
    """The voice of one attempt at a trial. ``best`` is the meta-validation accuracy, in 0..1, of the weights selected so far."""

    job: TrialJob
    report: Report
    log: TextIO
    best: float | None = None

    def say(self, message: str) -> None:
        """Add a line to the trial's log."""
        try:
            print(f"{now()} {message}", file=self.log, flush=True)
        except OSError as error:  # a full disk must not hide what the message is about
            print(f"{self.job.fingerprint}: {message} (log: {error})", file=sys.stderr)

    def announce(self, message: str) -> None:
        """Add a line to the log, and tell it to those who watch."""
        self.say(message)
        self.tell("notice", message=message)

    def tell(
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
        self.report(event)
