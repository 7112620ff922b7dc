"""A tracker that may be slow, refuse or be away without any trial noticing.

The records are what a tracker is made from, so they are also what waits for it: whatever could not be sent in this launch is sent
by the next one, which shows every trial's record again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import TrialRecord
from orchestrator.store import TrialPaths
from orchestrator.tracking.tracker import SweepContext, Tracker

Send = Callable[[], object]

FINISH = "finish"


class ResilientTracker:
    """Runs another tracker in a thread of its own; no method raises, and none waits long for it.

    After a refusal the other tracker is left alone for ``pause`` seconds; then what waits is sent, and once more at the end.

    Args:
        inner: the tracker that may fail.
        notice: told, in a sentence, of the first refusal and of what became of it.
        pause: seconds between a refusal and the next attempt.
        opening: the longest wait, in seconds, for ``begin``; a store is then ready, or known not to be, before the trials start.
        closing: the longest wait, in seconds, for everything to be sent in ``finish``.
    """

    def __init__(
        self, inner: Tracker, notice: Callable[[str], None], *, pause: float = 60, opening: float = 30, closing: float = 90
    ) -> None:
        self._inner = inner
        self._notice = notice
        self._pause, self._opening, self._closing = pause, opening, closing
        self._queue: queue.SimpleQueue[tuple[str | None, Send]] = queue.SimpleQueue()
        self._unsent: dict[str, Send] = {}
        self._open: Send | None = None
        self._quiet_until = 0.0
        self._refused = False
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._begun = threading.Event()

    def begin(self, plan: Plan, context: SweepContext) -> None:
        """Start the thread, and wait a while for the inner tracker to open its store."""
        self._open = partial(self._inner.begin, plan, context)
        self._thread.start()
        self._begun.wait(self._opening)

    def trial_started(self, trial: PlannedTrial) -> None:
        """Pass it on when its turn comes."""
        self._queue.put((trial.fingerprint, partial(self._inner.trial_started, trial)))

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Pass it on, or drop it while the tracker is away: the finished trial's record has the whole curve."""
        self._queue.put((None, partial(self._inner.trial_progress, fingerprint, step, dict(metrics))))

    def sync_trial(
        self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths, pictures: Sequence[Path] = ()
    ) -> str | None:
        """Pass it on when its turn comes. Returns the run's id when an earlier call made it known."""
        send = partial(self._inner.sync_trial, trial, record, paths, tuple(pictures))
        self._queue.put((trial.fingerprint, send))
        return self.run_ids().get(trial.fingerprint)

    def finish(self, table_files: Sequence[Path], table_markdown: str, complete: bool) -> None:
        """Send what waits, within ``closing`` seconds, and end the thread; say so when something could not be sent."""
        if not self._thread.is_alive():
            return
        self._queue.put((FINISH, partial(self._inner.finish, tuple(table_files), table_markdown, complete)))
        self._thread.join(self._closing)
        if self._thread.is_alive():
            self._notice("MLflow is too slow to wait for; what it did not take will be sent at the next launch")

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        return self._inner.run_ids()

    def _work(self) -> None:
        self._attempt_all()
        self._begun.set()
        key: str | None = None
        while key != FINISH:
            key, send = self._queue.get()
            if key is not None:
                self._unsent[key] = send  # a trial's last word stands for those before it
            if key == FINISH:
                self._attempt_all(refusals=2)
            elif time.monotonic() >= self._quiet_until:
                self._attempt_all()
                if key is None and not self._unsent:
                    self._attempt(send)
        self._say_what_became_of_it()

    def _attempt_all(self, refusals: int = 1) -> None:
        """Send what waits, in its order; after that many refusals the rest waits on, and what was refused waits behind it."""
        if self._open is not None:
            if not self._attempt(self._open):
                return
            self._open = None
        for key in list(self._unsent):
            send = self._unsent.pop(key)
            if not self._attempt(send):
                self._unsent[key] = send
                refusals -= 1
                if refusals == 0:
                    return

    def _attempt(self, send: Send) -> bool:
        try:
            send()
        except Exception as error:  # whatever it is, it must not reach the sweep
            self._quiet_until = time.monotonic() + self._pause
            if not self._refused:
                self._notice(f"{error}; the sweep goes on, and this is sent later")
            self._refused = True
            return False
        return True

    def _say_what_became_of_it(self) -> None:
        if not self._refused:
            return
        left = len(self._unsent.keys() - {FINISH})
        if self._open is not None or self._unsent:
            runs = f"the runs of {left} trials and " if left else ""
            self._notice(f"MLflow did not take {runs}the table; it will be sent at the next launch")
        else:
            self._notice("MLflow has taken everything after all")
