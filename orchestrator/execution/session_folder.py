"""Makes the folder of a local Ray's sockets and logs: a short path, closed to other users, removed even after a kill."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

_PREFIX = "fsl-ray-"
RAYS_FOLDER = "r"
"""Ray's own folder in it. Ray makes its folder writable for everyone; the folder around it keeps other users out."""
_LONGEST_PARENT = 30  # a socket's path has at most 107 bytes, of which Ray needs some 70
_YOUNG_SECONDS = 60


@contextmanager
def session_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for the duration of the block. Removes the folders of killed drivers first."""
    parent = parent or _short_parent()
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with filelock.FileLock(folder / "lock"):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_parent() -> Path:
    usual = Path(tempfile.gettempdir())
    short = Path("/tmp")
    return short if len(str(usual)) > _LONGEST_PARENT and short.is_dir() else usual


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue  # its driver may be about to lock it
            with filelock.FileLock(folder / "lock").acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, filelock.Timeout):
            continue  # another user's, or in use
