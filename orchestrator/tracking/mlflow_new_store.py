"""Creates the file of an SQLite store whole or not at all, even if the process is killed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fsl_core.atomic_file import sync_folder
from orchestrator.errors import TrackingError
from orchestrator.tracking.tracking_uri import sqlite_address

PATIENCE = 120.0
"""Seconds that a process waits for another one that creates the same file, which takes ten on a busy machine."""


def make_store_file(file: Path, artifacts: str, patience: float = PATIENCE) -> None:
    """Create the file of a store unless it exists. MLflow's dozens of schema migrations run on a temporary file beside it.

    Leftovers of a killed attempt are removed. Of several processes one creates the file and the others wait for it.

    Args:
        file: the store's file, whose folder is created too.
        artifacts: the artifact location of MLflow's own experiment.
        patience: the longest wait for another process, in seconds.

    Raises:
        TrackingError: another process holds the lock all the time.
        OSError: the file cannot be created.
    """
    file = Path(os.path.realpath(file))  # keeps a link
    if _is_made(file):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=patience):
            if not _is_made(file):
                _make(file, artifacts)
    except filelock.Timeout as error:
        raise TrackingError(f"another process has been making the MLflow store {file} for {patience:g} s") from error


def _is_made(file: Path) -> bool:
    """Whether the store exists. An empty file does not count: SQLite leaves one if a process ends before its first write."""
    return file.exists() and (not file.is_file() or file.stat().st_size > 0)


def _make(file: Path, artifacts: str) -> None:
    temporary = file.with_name(f".{file.name}.tmp")  # `fsl gc` removes only names with a random part: this file has a lock
    _remove(temporary)
    try:
        _initialise(temporary, artifacts)
        with temporary.open("rb") as made:
            os.fsync(made.fileno())
        temporary.replace(file)
    finally:
        _remove(temporary)
    sync_folder(file.parent)


def _initialise(file: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _unsynced(file):
        store = SqlAlchemyStore(sqlite_address(file).whole, artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()


@contextmanager
def _unsynced(file: Path) -> Iterator[None]:
    """Inside the block SQLite does not wait for the disk at each commit to ``file``, which is flushed once when it is complete."""
    from sqlalchemy import Engine, event

    def relax(connection: object, _: object) -> None:
        if not isinstance(connection, sqlite3.Connection):
            return  # of another thread, to another store
        if any(path == str(file) for _, _, path in connection.execute("PRAGMA database_list")):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        yield
    finally:
        event.remove(Engine, "connect", relax)


def _remove(temporary: Path) -> None:
    """Removes the file and those that SQLite keeps beside it while it writes."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
