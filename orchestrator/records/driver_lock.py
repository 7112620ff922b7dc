"""Allows one driver per sweep, by a lock that the system releases when its holder dies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fsl_core.atomic_file import write_atomically
from fsl_core.provenance import host_name, now
from orchestrator.errors import StoreError, SweepLockedError


@contextmanager
def driver_lock(folder: Path) -> Iterator[None]:
    """Lock the sweep whose state is in ``folder``.

    Raises:
        SweepLockedError: another driver holds it; the message names its host, process and start.
        StoreError: the folder cannot be written to.
    """
    holder = folder / "driver.json"
    lock = filelock.FileLock(folder / "driver.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise SweepLockedError(f"another run holds this sweep: {_describe(holder)}") from error
    except OSError as error:
        raise StoreError(f"the folder {folder} cannot be written to ({error.strerror})") from error
    try:
        write_atomically(holder, json.dumps({"host": host_name(), "process": os.getpid(), "since": now()}).encode())
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        known = json.loads(holder.read_bytes())
        return f"process {known['process']} on {known['host']}, since {known['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "by an unknown process"
