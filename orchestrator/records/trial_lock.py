"""Allows one process per trial, by a lock that the system releases when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fsl_core.errors import StopRequested
from orchestrator.errors import StoreError

_POLL_SECONDS = 0.5
_NO_FLOCK = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""The errors of a file system without flock, where the lock is the file itself and exists only while it is held."""


class TrialHeldError(Exception):
    """Another process works on the trial."""


@contextmanager
def trial_lock(
    path: Path, should_stop: Callable[[], bool] | None, *, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Lock the trial for the block, after waiting for another holder, such as a worker that outlived its driver.

    ``on_wait`` is called once, when another process has held the trial for half a second.

    Raises:
        StopRequested: ``should_stop`` returned true while another process held the trial.
        TrialHeldError: another process holds the trial, and without ``should_stop`` nothing is waited for.
    """
    lock, waits = filelock.FileLock(path), False
    while True:
        try:
            lock.acquire(timeout=_POLL_SECONDS if should_stop else 0)
            break
        except filelock.Timeout as error:
            if should_stop is None:
                raise TrialHeldError from error
            if should_stop():
                raise StopRequested("stopped while another process works on this trial") from error
            if not waits:
                on_wait()
            waits = True
    try:
        yield
    finally:
        lock.release()


def is_held(lock: Path) -> bool:
    """Whether a process works on the trial now. The check needs no permission to write and creates no file.

    Raises:
        StoreError: the lock's file cannot be read or queried.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"{lock} cannot be read ({error.strerror})") from error
    try:
        # Shared, so that two readers do not see each other as a worker. A worker that arrives meanwhile retries.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the errors of file systems where another process holds it
        return True
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return True
        raise StoreError(f"{lock} does not show whether a process works on the trial ({error.strerror})") from error
    finally:
        os.close(descriptor)
    return False
