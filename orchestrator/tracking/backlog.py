"""Sends the sweeps of a runs folder that their store lacks, because an earlier command could not send them."""

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
    """The unsent sweeps of a runs folder. Each is sent by its own tracker, unless another process is sending it.

    Args:
        runs_root: the folder of the records.
        make_tracker: makes a tracker on the store.
        store: the key of that store; sweeps meant for another store are ignored.
    """

    def __init__(self, runs_root: Path, make_tracker: Callable[[], StoreTracker], *, store: str) -> None:
        self.store = store
        self.outbox = Outbox(runs_root)
        self._store = Store(runs_root)
        self._make_tracker = make_tracker

    def steps(self, without: Path | None = None) -> Iterator[Literal["looked at", "sent"]]:
        """Create each sweep's experiment where it is missing, then send the sweeps. A step takes a few calls to the store.

        A sender can stop between two steps. The sweep of the file ``without`` is skipped. Raises TrackingError.
        """
        missing = []
        for path in self.outbox.paths():
            shown = None if path == without else self.outbox.read(path)
            if shown is not None and shown.store == self.store:
                missing += [path] if self._is_missing(shown) else []
                yield "looked at"
        for path in missing:
            with self.outbox.held(path) as free:
                shown = self.outbox.read(path)
                if free and shown is not None:
                    yield from self._send(shown)

    def _is_missing(self, shown: ShownSweep) -> bool:
        """Whether the store lacks a part of a sweep. If so, its experiment is created."""
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
    """Sends a backlog in a thread that ends with the process. ``error`` is the reason if it stopped early."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._work, name="backlog", daemon=True)
        self.error: Exception | None = None

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def wait_for_experiments(self, seconds: float | None = None) -> None:
        """Wait until the store has an experiment for every sweep, or refuses one."""
        self._looked.wait(seconds)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until everything is sent, or refused."""
        self._thread.join(seconds)

    @property
    def is_sending(self) -> bool:
        """Whether sending continues."""
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            for step in self._backlog.steps():
                if step == "sent":
                    self._looked.set()
        except Exception as error:  # reported by the thread's owner
            self.error = error
        finally:
            self._looked.set()
