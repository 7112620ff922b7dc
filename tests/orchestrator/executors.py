"""Executors of tests: one that is followed while it runs, and one that runs nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.execution.executor import Executor, ignore_phase
from orchestrator.execution.job import EventListener, TrialEvent, TrialJob


def ignore_event(event: TrialEvent) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Followed:
    """Runs jobs by another executor, and calls ``event`` and ``phase`` after the driver has received each."""

    inner: Executor
    event: EventListener = ignore_event
    phase: Callable[[str], None] = ignore_phase

    def run(self, jobs: Sequence[TrialJob], *, on_event: EventListener, on_phase: Callable[[str], None] = ignore_phase) -> None:
        """See :class:`orchestrator.execution.executor.Executor`."""

        def relay(event: TrialEvent) -> None:
            on_event(event)
            self.event(event)

        def phase(doing: str) -> None:
            on_phase(doing)
            self.phase(doing)

        self.inner.run(jobs, on_event=relay, on_phase=phase)


@dataclass(frozen=True)
class Instead:
    """Does something with the jobs, and runs none of them."""

    do: Callable[[Sequence[TrialJob]], object]

    def run(self, jobs: Sequence[TrialJob], *, on_event: EventListener, on_phase: Callable[[str], None] = ignore_phase) -> None:
        """See :class:`orchestrator.execution.executor.Executor`."""
        self.do(jobs)
