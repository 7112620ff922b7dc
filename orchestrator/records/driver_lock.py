"""Allows one driver per sweep, by a lock that the system releases when its holder dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock

from fsl_core.atomic_file import write_atomically
from fsl_core.provenance import host_name, now
from orchestrator.errors import StoreError, SweepLockedError
from orchestrator.records.trial_lock import is_held

_LOCK, _HOLDER = "driver.lock", "driver.json"
_GRACE_SECONDS = 0.2
"""A reader that asks whether a sweep runs holds the lock for an instant."""


@contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Lock the sweep whose state is in ``folder``.

    Raises:
        SweepLockedError: another driver holds it; the message names its host, process and start.
        StoreError: the folder cannot be written to.
    """
    holder = folder / _HOLDER
    lock = filelock.FileLock(folder / _LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_GRACE_SECONDS)
    except filelock.Timeout as error:
        raise _held(folder) from error
    except OSError as error:
        raise StoreError(f"the folder {folder} cannot be written to ({error.strerror})") from error
    try:
        write_atomically(holder, json.dumps({"host": host_name(), "process": os.getpid(), "since": now()}).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def is_running(folder: Path) -> bool:
    """Whether a driver holds the sweep whose state is in ``folder``. The check writes nothing; the answer holds for an instant."""
    return is_held(folder / _LOCK)


def refuse_running(folder: Path) -> None:
    """Raise SweepLockedError where a driver holds the sweep now: for a caller that would only take the lock much later."""
    if is_running(folder):
        raise _held(folder)


def _held(folder: Path) -> SweepLockedError:
    return SweepLockedError(f"another run holds the sweep {folder.name}: {_describe(folder / _HOLDER)}")


def running_driver(folder: Path) -> str | None:
    """The process that drives the sweep now, with its host and start; None where there is none. Nothing is written.

    Raises:
        StoreError: the lock cannot be read or queried.
    """
    return _describe(folder / _HOLDER) if is_running(folder) else None


def _describe(holder: Path) -> str:
    try:
        known = json.loads(holder.read_bytes())
        since = datetime.fromisoformat(known["since"])
        return f"process {known['process']} on {known['host']}, since {since:%Y-%m-%d %H:%M:%S %Z}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "an unknown process"
