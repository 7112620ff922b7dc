"""What people see while a sweep runs: a live view on a terminal, one line an event elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.text import Text

from orchestrator.counted import counted
from orchestrator.execution.job import TrialEvent
from orchestrator.launch.duration import duration_text
from orchestrator.launch.live_view import LiveView
from orchestrator.launch.trial_view import TrialView, views_at_start
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState
from orchestrator.sweep.plan import Plan


class SweepView(Protocol):
    """Where the driver sends what people should see."""

    def start(self, plan: Plan, done: Mapping[str, TrialState], records: Mapping[str, TrialRecord]) -> None:
        """Begin; ``done`` maps the fingerprints of trials that need no work to their state, ``records`` what is known of each."""
        ...

    def event(self, event: TrialEvent) -> None:
        """Something happened to a trial."""
        ...

    def phase(self, text: str) -> None:
        """Say what the sweep is doing while no trial says it, such as ``Ray is starting``; before ``start`` and after ``stop`` too.

        It holds until the next phase or the next event of a trial.
        """
        ...

    def notice(self, message: str) -> None:
        """Something worth a line happened to the sweep."""
        ...

    def stop(self) -> None:
        """End, and leave the terminal as it was."""
        ...


@dataclass
class LineView:
    """One line an event, for logs and for terminals that cannot redraw."""

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    trials: dict[str, TrialView] = field(default_factory=dict)

    def start(self, plan: Plan, done: Mapping[str, TrialState], records: Mapping[str, TrialRecord]) -> None:
        """See :class:`SweepView`."""
        self.trials = views_at_start(plan, done, records)
        size = f"{counted(len(plan.cells), 'cell')}, {counted(len(plan.trials), 'trial')}"
        self.write(f"{plan.spec.name}: {size}, {len(done):,} of them done before")

    def event(self, event: TrialEvent) -> None:
        """See :class:`SweepView`."""
        now = self.clock()
        view = self.trials[event.fingerprint] = self.trials[event.fingerprint].after(event, now)
        parts = [f"{event.fingerprint} {view.name}: {view.state}"]
        if event.kind == "progress":
            parts = [f"{event.fingerprint} {view.name}: step {view.step}/{view.steps}"]
            parts += [f"validation {100 * view.accuracy:.2f} %"] if view.accuracy is not None else []
            left = view.seconds_left(now)
            parts += [f"{duration_text(left)} left"] if left is not None else []
        self.write(", ".join(parts) + (f": {event.message}" if event.message else ""))

    def phase(self, text: str) -> None:
        """See :class:`SweepView`."""
        if text:
            self.write(text)

    def notice(self, message: str) -> None:
        """See :class:`SweepView`."""
        self.write(message)

    def stop(self) -> None:
        """See :class:`SweepView`."""


def make_view(console: Console) -> SweepView:
    """The live view on a terminal, lines elsewhere."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console)
    return LineView(lambda line: console.print(Text(line), soft_wrap=True))
