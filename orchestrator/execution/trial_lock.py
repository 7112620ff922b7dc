"""One process per trial: a lock that the system releases when its holder dies, however it dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fsl_core.errors import StopRequested

_POLL_SECONDS = 0.5


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
    """Whether some process works on the trial now."""
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0):
            return False
    except filelock.Timeout:
        return True
