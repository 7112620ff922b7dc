"""One process per trial: a lock that the system releases when its holder dies, however it dies."""

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
"""What a file system without flock answers: there the lock is the file itself, which is gone once nobody holds it."""


@contextmanager
def trial_lock(path: Path, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Wait for whoever works on the trial now, such as a worker that outlived its driver, and hold it inside the block.

    Raises:
        StopRequested: ``should_stop`` said so while another process held the trial.
    """
    lock = filelock.FileLock(path)
    while True:
        try:
            lock.acquire(timeout=_POLL_SECONDS)
            break
        except filelock.Timeout as error:
            if should_stop():
                raise StopRequested("stopped while another process works on this trial") from error
    try:
        yield
    finally:
        lock.release()


def is_held(lock: Path) -> bool:
    """Whether some process works on the trial now. Looking needs no permission to write, and leaves no file.

    Raises:
        StoreError: the lock's file cannot be read or asked, so that nobody knows.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"{lock} cannot be read ({error.strerror})") from error
    try:
        # Shared: two that look do not take each other for a worker. A worker that comes in this moment tries again.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # what file systems answer where another holds it
        return True
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return True
        raise StoreError(f"{lock} does not tell whether the trial is being worked on ({error.strerror})") from error
    finally:
        os.close(descriptor)
    return False
