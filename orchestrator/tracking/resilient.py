"""Isolates trials and the table from a tracker that is slow, refuses or is unreachable.

The view of a launch is kept in the outbox of its runs folder. Anything that this launch could not send is sent, from the records, by the
next ``fsl run`` or ``fsl ui`` there on the same store.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from fsl_core.listeners import Notice
from fsl_core.training.trial_paths import TrialPaths
from orchestrator.errors import TrackingError
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.shown_sweep import ShownSweep, ShownTable
from orchestrator.tracking.tracker import StoreTracker

Send = Callable[[], object]


class _Call(NamedTuple):
    """A call of the driver about a trial, or its last one. Points are of a running trial: a refused or outdated one is dropped."""

    key: str
    send: Send
    is_points: bool = False


FINISH = "finish"
LATER = "the next `fsl run` or `fsl ui` of this runs folder on this store sends the rest"


class ResilientTracker:
    """Runs another tracker in a thread. No method raises, and only ``finish`` waits for it.

    A call waits while an earlier one is sent. Of the calls that wait together, a trial's last one replaces the others: a slow store is sent
    a finished trial at once, and not its start and its points before.

    After a refusal the thread waits ``pause`` seconds before it retries; it retries once more at the end. When idle, it sends what
    earlier commands of the runs folder could not.

    Args:
        inner: the tracker that may fail.
        notice: receives a sentence about the first refusal, and one about its outcome.
        backlog: the sweeps of the runs folder, including this one.
        pause: seconds between a refusal and the next attempt.
        closing: the most seconds that ``finish`` waits for everything to be sent.
    """

    def __init__(self, inner: StoreTracker, notice: Notice, backlog: Backlog, *, pause: float = 60, closing: float = 10) -> None:
        self._inner = inner
        self._notice = notice
        self._outbox, self._backlog = backlog.outbox, backlog
        self._pause, self._closing = pause, closing
        self._queue: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._unsent: dict[str, Send] = {}
        self._wanted: set[str] = set()
        self._done: set[str] = set()
        self._opened = False
        self._older: Iterator[str] | None = None
        self._quiet_until = 0.0
        self._refused = self._confirmed = self._abandoned = False
        self._held = ExitStack()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def begin(self, shown: ShownSweep) -> None:
        """Write the view to the outbox, and start the thread."""
        self._shown = shown = replace(shown, store=self._backlog.store)
        self._keep(shown)
        self._older = self._backlog.steps(without=self._outbox.path(shown))
        self._thread.start()

    def trial_started(self, trial: PlannedTrial) -> None:
        """Pass it on when its turn comes."""
        self._queue.put(_Call(trial.fingerprint, partial(self._inner.trial_started, trial)))

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Pass it on, or drop it while the tracker is unreachable: the finished trial's record has the whole curve."""
        send = partial(self._inner.trial_progress, fingerprint, step, dict(metrics))
        self._queue.put(_Call(fingerprint, send, is_points=True))

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        """Pass it on when its turn comes. Returns the run's id when an earlier call made it known."""
        self._wanted.add(trial.fingerprint)
        self._queue.put(_Call(trial.fingerprint, partial(self._sync, trial, record, paths)))
        return self.run_ids().get(trial.fingerprint)

    def finish(self, table: ShownTable | None) -> None:
        """Send the rest within ``closing`` seconds, and report what could not be sent."""
        self._shown = replace(self._shown, table=table)
        self._keep(self._shown)
        if not self._thread.is_alive():
            self._say(self._what_is_left("MLflow"))
            return
        self._queue.put(_Call(FINISH, partial(self._inner.finish, table)))
        self._thread.join(self._closing)
        if self._thread.is_alive():
            self._say(self._what_is_left(f"MLflow is slow: after {self._closing:g} s it"))
            self._abandoned = True

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        return self._inner.run_ids()

    def _keep(self, shown: ShownSweep) -> None:
        try:
            self._outbox.write(shown)
        except OSError as error:
            self._say(f"the MLflow view cannot be kept ({error.strerror}); `fsl run` of this sweep sends it again")

    def _say(self, text: str) -> None:
        with suppress(Exception):  # a lost terminal must not stop the sending
            self._notice(text)

    def _sync(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> None:
        self._inner.sync_trial(trial, record, paths)
        self._done.add(trial.fingerprint)

    def _work(self) -> None:
        with self._held:
            self._attempt_all()
            while FINISH not in self._unsent:
                self._take_calls()
            self._attempt_all(refusals=2)
            self._confirmed = self._opened and not self._unsent and self._attempt(partial(self._inner.confirm, self._shown))
            while self._confirmed and self._send_older():
                pass
            if self._refused and not self._abandoned:
                self._say("MLflow has taken everything after all" if self._confirmed else self._what_is_left("MLflow"))

    def _take_calls(self) -> None:
        """Handle the driver's waiting calls, or else a step of the backlog."""
        quiet = time.monotonic() < self._quiet_until
        calls = list(self._waiting(block=quiet or not self._opened or self._older is None))
        if not calls:
            self._send_older()
        last = calls.pop() if calls and calls[-1].key == FINISH else None
        points: list[_Call] = []
        for call in calls:
            if call.is_points:
                points.append(call)
            else:
                self._unsent[call.key] = call.send  # a trial's last call replaces the earlier ones
                points = [each for each in points if each.key != call.key]
        if time.monotonic() >= self._quiet_until:
            self._attempt_all()
            all(self._attempt(each.send) for each in points if not self._unsent)  # up to the first refusal
        if last is not None:
            self._unsent[last.key] = last.send

    def _waiting(self, *, block: bool) -> Iterator[_Call]:
        """The calls that wait, up to the last one of the launch; with ``block`` at least one."""
        call = None
        with suppress(queue.Empty):
            while call is None or call.key != FINISH:
                call = self._queue.get(block=block and call is None)
                yield call

    def _send_older(self) -> bool:
        """Send a step of the backlog; false when it is empty, or the store refuses."""
        if self._older is not None:
            try:
                if next(self._older, None) is not None:
                    return True
            except Exception:  # it stays in the outbox
                self._quiet_until = time.monotonic() + self._pause
            self._older = None
        return False

    def _attempt_all(self, refusals: int = 1) -> None:
        """Send the waiting calls in order, up to that many refusals; refused calls move to the end of the queue."""
        if not self._opened:
            self._opened = self._attempt(self._open)
            if not self._opened:
                return
        for key in list(self._unsent):
            send = self._unsent.pop(key)
            if not self._attempt(send):
                self._unsent[key] = send
                refusals -= 1
                if refusals == 0:
                    return

    def _open(self) -> None:
        path = self._outbox.path(self._shown)
        if not self._held.enter_context(self._outbox.held(path)):
            raise TrackingError("another `fsl` is sending this sweep to MLflow now")
        try:
            self._inner.begin(self._shown)
        except BaseException:
            self._held.close()
            raise

    def _attempt(self, send: Send) -> bool:
        try:
            send()
        except Exception as error:  # no error may reach the sweep
            self._quiet_until = time.monotonic() + self._pause
            if not self._refused:
                self._say(f"{error}; training continues; this is sent later")
            self._refused = True
            return False
        return True

    def _what_is_left(self, who: str) -> str:
        if self._confirmed:
            return f"{who} has taken this sweep, but not yet all sweeps of earlier commands; {LATER}"
        return f"{who} has taken {len(self._done)} of {len(self._wanted)} finished trials, and not the table; {LATER}"
