"""The protocol of everything that runs the driver's trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orchestrator.execution.job import EventListener, TrialJob


def ignore_phase(doing: str) -> None:
    """Discard a description of what the executor is doing."""


class Executor(Protocol):
    """Runs jobs until each has ended. Results go to the store; events are for display and may be lost without harm."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: EventListener,
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        """Run all jobs in their order. A failed job does not stop the others; a job's stop file ends it early.

        ``on_phase`` receives descriptions of what the executor itself is doing.

        Raises:
            ExecutorError: the executor does not start, or died too often. Completed work is kept.
        """
        ...
