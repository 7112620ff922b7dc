"""Makes docs/images/live_view.svg again: runs the quick sweep for real, and keeps its live view as it is on the way.

    FSL_DATA_ROOT=… .venv/bin/python -m tests.live_view_picture RUNS_ROOT

It needs Omniglot and takes some minutes; what the runs root already has of the sweep makes it shorter.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from orchestrator.cli import run
from orchestrator.cli.main import main
from orchestrator.execution.job import TrialEvent
from orchestrator.launch.live_view import LiveView

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "live_view.svg"
COLUMNS, LINES = 130, 40


@dataclass
class PicturedView(LiveView):
    """A live view that is kept once, when it has something of everything to show; then the launch is stopped as by Ctrl-C."""

    taken: bool = False

    def event(self, event: TrialEvent) -> None:
        """See :class:`orchestrator.launch.sweep_view.SweepView`."""
        super().event(event)
        if not self.taken and self._tells_all():
            self.taken = True
            self._take()
            os.kill(os.getpid(), signal.SIGINT)

    def _tells_all(self) -> bool:
        states = Counter(view.state for view in self.trials.values())
        paced = [view for view in self.trials.values() if view.seconds_left(self.clock()) is not None]
        return states["done"] >= 2 and states["waiting"] >= 2 and len(paced) == states["running"] >= 2

    def _take(self) -> None:
        page = Console(record=True, width=COLUMNS, height=LINES, file=io.StringIO(), force_terminal=True, color_system="standard")
        terminal, self.console = self.console, page
        page.print(self.draw())
        self.console = terminal
        page.save_svg(str(PICTURE), title="make sweep")


if __name__ == "__main__":
    run.make_view = PicturedView  # type: ignore[assignment]
    main(["run", str(ROOT / "sweeps" / "quick.yaml"), "--runs-root", sys.argv[1], "-y"])
