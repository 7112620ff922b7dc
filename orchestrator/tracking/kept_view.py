"""The tracker of a launch without tracking: nothing is sent, and the runs folder's own store can be filled later."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.shown_sweep import OWN_STORE, ShownSweep, ShownTable
from orchestrator.tracking.tracker import NullTracker


class KeptView(NullTracker):
    """Keeps the view of a launch in the outbox for the runs folder's own store, the only one that it may be sent to."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def begin(self, shown: ShownSweep) -> None:
        """Keep the view without a table."""
        self._shown = replace(shown, store=OWN_STORE)
        self._keep()

    def finish(self, table: ShownTable | None) -> None:
        """Keep the view with its table."""
        self._shown = replace(self._shown, table=table)
        self._keep()

    def _keep(self) -> None:
        with suppress(OSError):  # nobody asked for a view: the next launch of the sweep keeps it
            self._outbox.write(self._shown)
