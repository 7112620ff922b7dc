"""The Ray worker: runs one trial after another in a process that is reused."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

from ray import tune

from orchestrator.execution.job import ENDS, TrialEvent, TrialJob

EVENTS = "events"
"""The key of a result that holds the events since the previous result."""


class RayTrial(tune.Trainable):
    """The function that every executor calls, as a Tune trainable whose steps return the events since the previous step.

    The trial runs in its own thread and never waits for Tune: events of the meantime are returned together. Tune reuses the process for
    the next trial, so that each worker imports torch and verifies the images once.
    """

    def setup(self, config: dict[str, Any], *, jobs: Mapping[str, TrialJob]) -> None:  # type: ignore[override]  # tune.with_parameters
        """Receive the jobs, once per worker, and start the one that the config names."""
        self._jobs = jobs
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another trial in the same process, after the previous one has ended."""
        self._thread.join()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait for an event of the trial, or its end. After its last event, raises an error from outside the trial's own code."""
        events = self._next_events()
        if self._error is not None and not events:
            raise self._error
        return {EVENTS: events, "done": self._over and self._error is None}

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._job = self._jobs[config["trial"]]
        self._events: SimpleQueue[TrialEvent | None] = SimpleQueue()
        self._over = False
        self._left = {trial.fingerprint for trial in self._job.trials}
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
            self._events.put(None)  # no more events

    def _next_events(self) -> list[TrialEvent]:
        """The events since the last call, at least one; none where the job has ended.

        After its last event the method waits for the job to end, which saves Tune another step.
        """
        events: list[TrialEvent] = []
        while not self._over and (not events or not self._left or not self._events.empty()):
            event = self._events.get()
            if event is None:
                self._over = True
                continue
            events.append(event)
            if event.kind in ENDS:
                self._left.discard(event.fingerprint)
        return events
