"""What a Ray worker runs: one trial after another, in a process that stays."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import Any

from ray import tune

from orchestrator.execution.job import ENDS, TrialEvent, TrialJob

EVENTS = "events"
"""The key of a result under which the events since the last one lie."""
_SECONDS_TO_END = 2.0


class RayTrial(tune.Trainable):
    """The same function as every executor calls, as Tune wants it: each step gives what was said since the last one.

    The trial runs in a thread of its own and waits for nobody: what it says meanwhile is handed on together. Tune reuses the process
    for the next trial, so that each worker imports torch and verifies the images once.
    """

    def setup(self, config: dict[str, Any], *, jobs: Mapping[str, TrialJob]) -> None:
        """Take in the jobs, once for each worker, and begin with the one that the config names."""
        self._jobs = jobs
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin with another trial in the same process; not where the last one is still at work."""
        self._thread.join(_SECONDS_TO_END)
        if self._thread.is_alive():
            return False
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait until the trial says something, or ends. Raises what ended it from outside its own code."""
        events = self._said()
        if any(event.kind in ENDS for event in events):  # it has no more to say: a further step would be another round trip
            self._ended.wait()
        done = self._ended.is_set() and self._events.empty()
        if done and self._error is not None:
            raise self._error
        return {EVENTS: events, "done": done}

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._job = self._jobs[config["trial"]]
        self._events: SimpleQueue[TrialEvent | None] = SimpleQueue()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=self._job.fingerprint, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            from orchestrator.execution.worker import execute  # torch, in workers alone

            execute(self._job, self._events.put)
        except BaseException as error:
            self._error = error
        finally:
            self._events.put(None)  # wakes who waits for an event
            self._ended.set()

    def _said(self) -> list[TrialEvent]:
        """What was said since the last call, at least one event; none where the trial has ended."""
        said = [self._events.get()]
        try:
            while True:
                said.append(self._events.get_nowait())
        except Empty:
            return [event for event in said if event is not None]
