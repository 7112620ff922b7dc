"""Watches the processes of a local Ray: the process that uses Ray usually ends when a part of Ray dies, but not always."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

VITAL_PARTS = ("raylet", "gcs_server", "ray::RuntimeEnvAgent")
"""The names of the processes without which Ray runs no trial."""
GRACE_SECONDS = 20.0
"""How long after the death of such a process Ray may take to notice it."""
_LOOK_SECONDS = 2.0


@dataclass
class RayParts:
    """The descendants of one process that runs Ray, as seen so far.

    A worker that outlives its parent, the raylet, is no descendant any more, but keeps the lock of its trial: it must be ended too.
    """

    root: int
    seen: set[psutil.Process] = field(default_factory=set)
    _vital: dict[psutil.Process, str] = field(default_factory=dict)
    _dead_since: float | None = None
    _next_look: float = 0.0

    def look(self) -> None:
        """Remember the processes that run now."""
        with suppress(psutil.NoSuchProcess):
            self.seen.update(psutil.Process(self.root).children(recursive=True))
        for process in self.seen.difference(self._vital):
            with suppress(psutil.Error):
                if process.name() in VITAL_PARTS:
                    self._vital[process] = process.name()

    def lost(self) -> str | None:
        """The name of a vital part that has been dead for longer than :data:`GRACE_SECONDS`. Looks every two seconds at most."""
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + _LOOK_SECONDS
        self.look()
        dead = next((name for process, name in self._vital.items() if not _lives(process)), None)
        if dead is None:
            return None
        self._dead_since = self._dead_since or time.monotonic()
        return dead if time.monotonic() - self._dead_since > GRACE_SECONDS else None

    def kill(self, seconds: float) -> None:
        """Kill every process seen so far, and wait up to ``seconds`` for their end."""
        for process in self.seen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(list(self.seen), timeout=seconds)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
