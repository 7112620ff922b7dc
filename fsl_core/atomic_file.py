"""Writes files atomically."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)  # the answers of file systems without hard links


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file atomically: a reader, also after a crash, sees either the old content or the new.

    An OSError names the path, even if the disk is full.
    """
    with _complete(path, content) as temporary:
        temporary.replace(path)
    sync_folder(path.parent)


def write_if_absent(path: Path, content: bytes) -> bool:
    """Write a file unless it exists: the first of several concurrent writers wins. Returns whether this one did."""
    with _complete(path, content) as temporary:
        if not _placed(temporary, path):
            return False
    sync_folder(path.parent)
    return True


def _placed(temporary: Path, path: Path) -> bool:
    """Move the content to ``path`` if that is free; returns whether it was."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():  # a file system without hard links cannot refuse a simultaneous writer
            return False
        temporary.replace(path)
    return True


@contextmanager
def _complete(path: Path, content: bytes) -> Iterator[Path]:
    """Write the content to a temporary file beside ``path`` and flush it to disk; remove the file at the end if it still exists."""
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
    """The temporary files directly in a folder: leftovers of killed processes, unless :func:`write_atomically` is running."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name) and path.is_file())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make an OSError inside the block name this path: a write to a full disk reports no file and, in numpy, no reason."""
    try:
        yield
    except OSError as error:
        number = errno.ENOSPC if error.errno is None else error.errno
        raise OSError(number, os.strerror(number), str(path)) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power failure, where the system supports it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
