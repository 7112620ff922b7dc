"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # what file systems without hard links say to one


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old content or the new and nothing between.

    An OSError names the path, also where the disk is full.
    """
    with _complete(path, content) as temporary:
        temporary.replace(path)
    sync_folder(path.parent)


def write_if_absent(path: Path, content: bytes) -> bool:
    """Write a file unless it is there already: of several writers at once the first wins. Returns whether this one did."""
    with _complete(path, content) as temporary:
        if not _placed(temporary, path):
            return False
    sync_folder(path.parent)
    return True


def _placed(temporary: Path, path: Path) -> bool:
    """Whether the content is at ``path`` now, which was free before."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():  # such a file system cannot refuse a second writer of the same instant
            return False
        temporary.replace(path)
    return True


@contextmanager
def _complete(path: Path, content: bytes) -> Iterator[Path]:
    """A temporary file beside ``path`` that has the content, on disk; it is removed at the end where it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def unfinished_writes(folder: Path) -> Iterator[Path]:
    """The temporary files directly inside a folder: left by a killed process, unless :func:`write_atomically` is at work there now."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name) and path.is_file())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError inside the block names this path: a write to a full disk does not say which file, nor in numpy why."""
    try:
        yield
    except OSError as error:
        number = errno.ENOSPC if error.errno is None else error.errno
        raise OSError(number, os.strerror(number), str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
