"""What the driver asks of whatever runs its trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orchestrator.execution.job import TrialEvent, TrialJob


def ignore_phase(doing: str) -> None:
    """Show nobody what the executor is doing."""


class Executor(Protocol):
    """Runs jobs until each has ended. The store gets the results; the events are for people and may be lost without harm."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: Callable[[TrialEvent], None],
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        """Run all jobs, the first ones first. A failed job does not stop the others; a job's stop file ends it early.

        ``on_phase`` hears, in words, what the executor itself is doing.

        Raises:
            ExecutorError: what runs the trials does not start here and now, or died too often. What was computed is kept.
        """
        ...
