"""A sweep on a terminal: a table of its trials that is redrawn in place, what is going on, and how long it will take."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.execution.job import TrialEvent
from orchestrator.launch.duration import duration_text
from orchestrator.launch.trial_table import STYLES, trial_table
from orchestrator.launch.trial_view import TrialView, sweep_seconds_left, views_at_start
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState
from orchestrator.sweep.plan import Plan

_REDRAWS_PER_SECOND = 4
_MOST_ROWS = 24
_MOST_CAUSES = 3
_WHOLE_BAR = 40
_TIED = "\N{NO-BREAK SPACE}"
_FIRST = ("running", "scoring", "failed")
"""The states whose trials are shown before others where not all have room."""


@dataclass
class LiveView:
    """A table of the trials that is redrawn in place."""

    console: Console
    clock: Callable[[], float] = time.monotonic
    trials: dict[str, TrialView] = field(default_factory=dict)
    live: Live | None = None
    began: float = 0.0
    title: str = ""
    doing: str = ""
    doing_since: float = 0.0

    def start(self, plan: Plan, done: Mapping[str, TrialState], records: Mapping[str, TrialRecord]) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        self.trials, self.began = views_at_start(plan, done, records), self.clock()
        self.title = plan.spec.title
        self.live = Live(
            get_renderable=self.draw, console=self.console, refresh_per_second=_REDRAWS_PER_SECOND, redirect_stdout=False
        )
        self.live.start()

    def event(self, event: TrialEvent) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        self.trials[event.fingerprint] = self.trials[event.fingerprint].after(event, self.clock())
        self.doing = ""  # from here the trials themselves say it

    def phase(self, text: str) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        self.doing, self.doing_since = text, self.clock()
        if self.live is None and text:
            self.console.print(Text(text, style="dim"), soft_wrap=True)

    def notice(self, message: str) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        self.console.print(Text(message), soft_wrap=True)

    def stop(self) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        self.doing = ""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def draw(self) -> Group:
        """What is shown now, in the width and height of the console."""
        now, width = self.clock(), self.console.width
        views = list(self.trials.values())
        around: list[Table | Text] = [self._whole(views, now, width), *self._causes(views), *self._doing(now)]
        taken = 3 + len(around) + len(self._summary(views, now, len(views)))  # and the title, the headings, the cursor
        rows = max(1, min(_MOST_ROWS, self.console.height - taken))
        shown = sorted(views, key=lambda view: view.state not in _FIRST)[:rows]
        table = trial_table(shown, tuple(view.name for view in views), width=width, now=now)
        summary = [_line(line, "bold") for line in self._summary(views, now, len(views) - len(shown))]
        return Group(_line(self.title, "italic"), table, *around, *summary)

    def _whole(self, views: list[TrialView], now: float, width: int) -> Table:
        """The whole sweep in one line: a trial that ended before its budget did counts as its whole budget, a budget of 0 as 1."""
        budgets = [max(1, view.steps) for view in views]
        over = [view.state in ("scoring", "done", "diverged") for view in views]
        ended = [budget if is_over else view.step for view, budget, is_over in zip(views, budgets, over, strict=True)]
        total = max(1, sum(budgets))
        left = sweep_seconds_left(views, now)
        texts = (f"{100 * sum(ended) // total} %", *([f"{duration_text(left)} left"] if left else []))
        room = width - len("all") - sum(2 + len(text) for text in texts) - 2
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=total, completed=sum(ended), width=max(1, min(_WHOLE_BAR, room)))
        line.add_row("all", *([bar] if room >= 4 else []), *texts)
        return line

    def _causes(self, views: list[TrialView]) -> list[Text]:
        """Why trials failed, a line each; the log and `fsl status` have the whole of it."""
        failed = [view for view in views if view.message]
        lines = [_line(f"{view.name}: {view.message}", STYLES["failed"]) for view in failed[:_MOST_CAUSES]]
        more = len(failed) - _MOST_CAUSES
        return [*lines, _line(f"and {more} more", STYLES["failed"])] if more > 0 else lines

    def _doing(self, now: float) -> list[Text]:
        return [_line(f"{self.doing}, {duration_text(now - self.doing_since)}", "cyan")] if self.doing else []

    def _summary(self, views: list[TrialView], now: float, hidden: int) -> list[str]:
        """Lines that break between parts alone."""
        counts = Counter(view.state for view in views)
        parts = [f"{count} {state}" for state, count in counts.items()]
        parts += [f"{hidden} not shown"] if hidden else []
        parts.append(f"{duration_text(now - self.began)} since the start")
        lines = textwrap.wrap(", ".join(part.replace(" ", _TIED) for part in parts), self.console.width)
        return [line.replace(_TIED, " ") for line in lines]


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
