"""Sends what earlier commands could not: every sweep of a runs folder that was meant for a store which lacks something of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from orchestrator.records.store import Store
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.shown_sweep import ShownSweep
from orchestrator.tracking.tracker import StoreTracker


class Backlog:
    """The sweeps under a runs folder, each sent by a tracker of its own; those that another process sends are left to it.

    Args:
        runs_root: the folder of the records.
        make_tracker: makes a tracker on the store.
        store: the key of that store. What launches meant for another one is left alone.
    """

    def __init__(self, runs_root: Path, make_tracker: Callable[[], StoreTracker], *, store: str) -> None:
        self.store = store
        self.outbox = Outbox(runs_root)
        self._store = Store(runs_root)
        self._make_tracker = make_tracker

    def steps(self, without: Path | None = None) -> Iterator[Literal["looked at", "sent"]]:
        """Look at each sweep, which makes an experiment that is missing, then send the rest: a few calls of the store a step.

        A sender can stop between two steps. ``without`` is the file of a sweep that is left out. Raises TrackingError.
        """
        missing = []
        for path in self.outbox.paths():
            shown = None if path == without else self.outbox.read(path)
            if shown is not None and shown.store == self.store:
                missing += [path] if self._opened(shown) else []
                yield "looked at"
        for path in missing:
            with self.outbox.held(path) as free:
                shown = self.outbox.read(path)
                if free and shown is not None:
                    yield from self._send(shown)

    def _opened(self, shown: ShownSweep) -> bool:
        """Whether something of a sweep is missing; it has its place in the store then."""
        tracker = self._make_tracker()
        missing = tracker.lacks(shown)
        if missing:
            tracker.open_place(shown)
        return missing

    def _send(self, shown: ShownSweep) -> Iterator[Literal["sent"]]:
        tracker = self._make_tracker()
        tracker.begin(shown)
        yield "sent"
        for trial in shown.trials:
            record = self._store.read(trial.fingerprint)
            if record.result is not None or record.failure is not None:
                tracker.sync_trial(trial, record, self._store.paths(trial.fingerprint))
                yield "sent"
        tracker.finish(shown.table)
        tracker.confirm(shown)
        yield "sent"


class BacklogSender:
    """Sends a backlog in a thread, which ends with the process. ``error`` is why it stopped, if it did before the end."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._work, name="backlog", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wait_for_experiments(self, seconds: float | None = None) -> None:
        """Wait until the store has an experiment of every sweep, or refuses."""
        self._looked.wait(seconds)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until all is sent, or refused."""
        self._thread.join(seconds)

    @property
    def is_sending(self) -> bool:
        """Whether something is left, and being sent."""
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            for step in self._backlog.steps():
                if step == "sent":
                    self._looked.set()
        except Exception as error:  # told by whoever started the thread
            self.error = error
        finally:
            self._looked.set()
