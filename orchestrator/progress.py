"""What people see while a sweep runs: a live view on a terminal, one line an event elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.execution.job import TrialEvent
from orchestrator.plan import Plan

_REDRAWS_PER_SECOND = 4
_MOST_ROWS = 24
_OTHER_ROWS = 5  # title, headings, the whole sweep's bar, the summary, the cursor
_STYLES = {"running": "cyan", "done": "green", "failed": "red", "diverged": "yellow", "waiting": "dim", "stopped": "yellow"}
_STATE_AFTER = {
    "started": "running",
    "progress": "running",
    "finished": "done",
    "diverged": "diverged",
    "failed": "failed",
    "stopped": "stopped",
}


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """What is shown of one trial. ``began`` and ``ended`` are monotonic seconds; ``first_step`` is where this launch took it up."""

    name: str
    state: str = "waiting"
    step: int = 0
    steps: int = 0
    first_step: int | None = None
    accuracy: float | None = None
    began: float | None = None
    ended: float | None = None
    message: str = ""

    def after(self, event: TrialEvent, now: float) -> TrialView:
        """The view once an event has been seen at the monotonic time ``now``."""
        state = _STATE_AFTER[event.kind]
        changes: dict[str, object] = {"state": state, "message": event.message, "steps": event.steps or self.steps}
        if event.kind == "started":
            changes |= {"began": now, "first_step": None}
        if event.kind == "progress" and self.first_step is None:
            changes |= {"first_step": event.step, "began": now}
        if state != "running":
            changes["ended"] = now
        changes["step"] = max(event.step, self.step)
        accuracy = event.metrics.get("validation_accuracy", event.best)
        return replace(self, **changes, accuracy=self.accuracy if accuracy is None else accuracy)  # type: ignore[arg-type]

    def seconds_left(self, now: float) -> float | None:
        """Seconds to the end of the budget at this launch's pace; None while the pace is not known. Patience may end it sooner."""
        if self.state != "running" or self.began is None or self.first_step is None or self.step <= self.first_step:
            return None
        return (now - self.began) / (self.step - self.first_step) * (self.steps - self.step)


def sweep_seconds_left(views: Collection[TrialView], now: float) -> float | None:
    """Seconds until all trials are at the end of their budgets, at the pace that all running ones had together; None while unknown."""
    paced = [
        (view.step - view.first_step, view.began) for view in views if view.first_step is not None and view.began is not None
    ]
    made = sum(steps for steps, _ in paced)
    if made == 0:
        return None
    left = sum(view.steps - view.step for view in views if view.state in ("waiting", "running"))
    return (now - min(began for _, began in paced)) / made * left


class SweepView(Protocol):
    """Where the driver sends what people should see."""

    def start(self, plan: Plan, done: Mapping[str, str]) -> None:
        """Begin; ``done`` maps the fingerprints of trials that need no work to their state."""
        ...

    def event(self, event: TrialEvent) -> None:
        """Something happened to a trial."""
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

    def start(self, plan: Plan, done: Mapping[str, str]) -> None:
        """See :class:`SweepView`."""
        self.trials = _views(plan, done)
        self.write(f"{plan.spec.name}: {len(plan.cells)} cells, {len(plan.trials)} trials, {len(done)} of them done before")

    def event(self, event: TrialEvent) -> None:
        """See :class:`SweepView`."""
        now = self.clock()
        view = self.trials[event.fingerprint] = self.trials[event.fingerprint].after(event, now)
        parts = [f"{event.fingerprint} {view.name}: {view.state}"]
        if event.kind == "progress":
            parts = [f"{event.fingerprint} {view.name}: step {view.step}/{view.steps}"]
            parts += [f"validation {100 * view.accuracy:.2f} %"] if view.accuracy is not None else []
            left = view.seconds_left(now)
            parts += [f"{spell_seconds(left)} left"] if left is not None else []
        self.write(", ".join(parts) + (f": {event.message}" if event.message else ""))

    def notice(self, message: str) -> None:
        """See :class:`SweepView`."""
        self.write(message)

    def stop(self) -> None:
        """See :class:`SweepView`."""


@dataclass
class LiveView:
    """A table of the trials that is redrawn in place."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    trials: dict[str, TrialView] = field(default_factory=dict)
    live: Live | None = None
    began: float = 0.0

    def start(self, plan: Plan, done: Mapping[str, str]) -> None:
        """See :class:`SweepView`."""
        self.trials, self.began = _views(plan, done), self.clock()
        self.title = plan.spec.title
        self.live = Live(
            get_renderable=self._draw, console=self.console, refresh_per_second=_REDRAWS_PER_SECOND, redirect_stdout=False
        )
        self.live.start()

    def event(self, event: TrialEvent) -> None:
        """See :class:`SweepView`."""
        self.trials[event.fingerprint] = self.trials[event.fingerprint].after(event, self.clock())

    def notice(self, message: str) -> None:
        """See :class:`SweepView`."""
        self.console.print(Text(message))

    def stop(self) -> None:
        """See :class:`SweepView`."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _draw(self) -> Group:
        now = self.clock()
        table = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        table.add_column("trial")  # it may be squeezed on a narrow terminal; the others may not
        for heading, width in (("state", 8), ("step", 9), ("", 18), ("validation", 10), ("left", 11)):
            table.add_column(heading, justify="left" if heading in ("state", "") else "right", no_wrap=True, min_width=width)
        rows = max(1, min(_MOST_ROWS, self.console.height - _OTHER_ROWS))
        shown = sorted(self.trials.values(), key=lambda view: view.state not in ("running", "failed"))[:rows]
        for view in shown:
            table.add_row(*_row(view, now))
        return Group(table, self._bar(now), self._summary(now, len(self.trials) - len(shown)))

    def _bar(self, now: float) -> Table:
        """The whole sweep in one line: a trial that ended before its budget did counts as its whole budget."""
        views = list(self.trials.values())
        ended = [view.steps if view.state in ("done", "diverged") else view.step for view in views]
        total = max(1, sum(view.steps for view in views))
        left = sweep_seconds_left(views, now)
        line = Table.grid(padding=(0, 2))
        percent = f"{100 * sum(ended) // total} %"
        line.add_row("all", ProgressBar(total=total, completed=sum(ended), width=40), percent, _left_text(left))
        return line

    def _summary(self, now: float, hidden: int) -> Text:
        counts: dict[str, int] = {}
        for view in self.trials.values():
            counts[view.state] = counts.get(view.state, 0) + 1
        parts = [f"{count} {state}" for state, count in counts.items()]
        parts += [f"{hidden} not shown"] if hidden else []
        parts.append(f"{spell_seconds(now - self.began)} since the start")
        return Text(", ".join(parts), style="bold")


def _left_text(seconds: float | None) -> str:
    return "" if seconds is None else f"{spell_seconds(seconds)} left"


def _row(view: TrialView, now: float) -> tuple[Text | ProgressBar | str, ...]:
    left = view.seconds_left(now)
    return (
        Text(view.name, no_wrap=True, overflow="ellipsis"),
        Text(view.state, style=_STYLES[view.state]),
        f"{view.step}/{view.steps}",
        ProgressBar(total=max(view.steps, 1), completed=view.steps if view.state == "done" else view.step, width=18),
        "" if view.accuracy is None else f"{100 * view.accuracy:.2f} %",
        Text(view.message, style="red") if view.message else "" if left is None else spell_seconds(left),
    )


def _views(plan: Plan, done: Mapping[str, str]) -> dict[str, TrialView]:
    return {
        trial.fingerprint: TrialView(name=trial.name, steps=trial.recipe.steps, state=done.get(trial.fingerprint, "waiting"))
        for trial in plan.trials
    }


def spell_seconds(seconds: float) -> str:
    """A duration in two units at most: ``1 h 05 min``, ``2 min 10 s``, ``8 s``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def make_view(console: Console) -> SweepView:
    """The live view on a terminal, lines elsewhere."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console)
    return LineView(lambda line: console.print(Text(line), soft_wrap=True))
