"""Watches the processes of a local Ray: the process that uses Ray usually ends when a part of Ray dies, but not always."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

GRACE_SECONDS = 20.0
"""How long after the death of a vital part Ray may take to notice it."""
SERVERS = ("raylet", "gcs_server")
AGENT = "ray::RuntimeEnvAgent"
"""The parts without which Ray runs no trial: two servers, and an agent of the raylet."""
_CHECK_SECONDS = 2.0
_LOOK_SECONDS = 10.0


@dataclass
class RayParts:
    """The parts and the workers of the Ray that one process uses.

    A worker that outlives its parent, the raylet, is no descendant of that process any more, but keeps the lock of its trial.
    """

    root: psutil.Process
    _vital: dict[psutil.Process, str] = field(default_factory=dict)
    _workers: set[psutil.Process] = field(default_factory=set)
    _dead_since: float | None = None
    _next_check: float = 0.0
    _next_look: float = 0.0

    def look(self) -> set[psutil.Process]:
        """Remember the parts and workers that run now. Returns the descendants of the process, and the workers that outlived Ray."""
        self._next_look = time.monotonic() + _LOOK_SECONDS
        self._workers = set(filter(_lives, self._workers))
        below: list[psutil.Process] = []
        with suppress(psutil.Error, OSError):
            below = self.root.children(recursive=True)  # parents come first
        for process in below:
            if process not in self._workers and process not in self._vital:
                with suppress(psutil.Error, OSError):
                    self._remember(process)
        return {*below, *self._workers}

    def lost(self) -> str | None:
        """The name of a vital part that has been dead for longer than :data:`GRACE_SECONDS`; checked every two seconds."""
        now = time.monotonic()
        if now < self._next_check:
            return None
        self._next_check = now + _CHECK_SECONDS
        if now >= self._next_look or len(self._vital) <= len(SERVERS):
            self.look()
        dead = next((name for process, name in self._vital.items() if not _lives(process)), None)
        if dead is None:
            return None
        self._dead_since = self._dead_since or now
        return dead if now - self._dead_since > GRACE_SECONDS else None

    def _remember(self, process: psutil.Process) -> None:
        """Remember a process by its command line. A fork has its parent's until it becomes another program, so parents count too."""
        line = process.cmdline()
        name = Path(line[0]).name if line else ""
        raylets = {each.pid for each, what in self._vital.items() if what == "raylet"}
        if (name in SERVERS and process.ppid() == self.root.pid) or (name == AGENT and process.ppid() in raylets):
            self._vital[process] = name
        elif name.startswith("ray::") or any(part.endswith("default_worker.py") for part in line):
            self._workers.add(process)


def kill_all(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Kill the processes that still run, and wait up to ``seconds`` for their end."""
    alive = list(filter(_lives, processes))
    for process in alive:
        with suppress(psutil.Error, OSError):
            process.kill()
    deadline = time.monotonic() + seconds
    while any(map(_lives, alive)) and time.monotonic() < deadline:  # one that nobody reaps has ended too
        time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it may not be looked at, so it is there
        return True
