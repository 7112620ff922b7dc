"""What a Ray worker runs: one trial after another, in a process that stays."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from ray import tune

from orchestrator.execution.job import ENDS, TrialEvent, TrialJob

EVENTS = "events"
"""The key of a result under which the events since the last one lie."""


class RayTrial(tune.Trainable):
    """The same function as every executor calls, as Tune wants it: each step gives what was said since the last one.

    The trial runs in a thread of its own and waits for nobody: what it says meanwhile is handed on together. Tune reuses the process
    for the next trial, so that each worker imports torch and verifies the images once.
    """

    def setup(self, config: dict[str, Any], *, jobs: Mapping[str, TrialJob]) -> None:  # type: ignore[override]  # tune.with_parameters
        """Take in the jobs, once for each worker, and begin with the one that the config names."""
        self._jobs = jobs
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin with another trial in the same process: Tune asks for it once the last one is over."""
        self._thread.join()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait until the trial says something, or ends. Raises what ended it from outside its own code, after all that it said."""
        events = self._said()
        if self._error is not None and not events:
            raise self._error
        return {EVENTS: events, "done": self._over and self._error is None}

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._job = self._jobs[config["trial"]]
        self._events: SimpleQueue[TrialEvent | None] = SimpleQueue()
        self._over = False
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
            self._events.put(None)  # it has no more to say

    def _said(self) -> list[TrialEvent]:
        """What was said since the last call, at least one event; none where the trial is over.

        After the event of an end the trial is waited for: a further step would be another round trip.
        """
        events: list[TrialEvent] = []
        while not self._over and (not events or events[-1].kind in ENDS or not self._events.empty()):
            event = self._events.get()
            if event is None:
                self._over = True
            else:
                events.append(event)
        return events
