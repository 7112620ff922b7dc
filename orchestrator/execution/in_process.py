"""Runs trials one after another in the driver's own process: slow, but suited to a debugger."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.execution.executor import ignore_phase
from orchestrator.execution.job import EventListener, TrialJob


class InProcessExecutor:
    """Runs each job by a plain function call."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: EventListener,
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        """See :class:`orchestrator.execution.executor.Executor`."""
        on_phase("loading torch and the images for the first trial")
        from orchestrator.execution.worker import execute  # torch, only where trials run

        for job in jobs:
            if job.stop_file.exists():
                return
            execute(job, on_event)
