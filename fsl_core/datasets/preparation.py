"""Prepares images atomically, once per machine, in one process while the others wait."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fsl_core.datasets.data_set import SourceState
from fsl_core.datasets.manifest import MANIFEST, renew_state
from fsl_core.datasets.prepared_images import ARRAY, PreparedImages, content_digest, read_prepared, write_prepared
from fsl_core.errors import DataCorruptError, DataError
from fsl_core.listeners import Notice

MadeImages = tuple[np.ndarray, Sequence[str], Sequence[int]]
"""The array ``[total, C, H, W]``, the class names and the class sizes."""


class _Outdated(DataCorruptError):
    """The prepared images are intact, but their source has changed since."""


def open_prepared(
    folder: Path, make: Callable[[], MadeImages], *, notice: Notice, state: SourceState | None = None
) -> PreparedImages:
    """Open the prepared data set in ``folder`` with every byte verified, making it first if it is missing.

    The result of ``make`` is written beside ``folder`` and then renamed: a crash leaves nothing that looks like a data set, and the
    next preparation removes its leftovers. One process prepares while the others wait; on a file system without locks each prepares,
    and the later ones discard their own. A damaged folder is reported, prepared again, and moved aside once that succeeded.
    A folder prepared from another ``state`` of its source is replaced; where the images turn out to be the same, only its state is.

    Raises:
        DataCorruptError: if the folder is damaged and cannot be prepared again; it stays in place.
    """
    with suppress(DataCorruptError):  # absent or damaged: checked again below, by one process at a time
        return _current(folder, state)
    with _lock_of(folder, notice) as locked:
        damage = None
        if folder.exists():
            try:
                return _current(folder, state)
            except DataCorruptError as error:
                damage = error
                notice(str(error) if isinstance(error, _Outdated) else f"damaged: {error}")
        if locked:  # else apparent leftovers may belong to another process at work
            _remove_leftovers(folder)
        notice(f"preparing {folder.name} once, in {folder}")
        made = make() if damage is None else _repaired(make, damage)
        if state is not None and isinstance(damage, _Outdated) and content_digest(*made) == read_prepared(folder).digest:
            notice(f"the images are the same: {folder / ARRAY} is kept")
            renew_state(folder, state)
            return read_prepared(folder)
        if damage is not None:
            _set_aside(folder, notice, keep=not isinstance(damage, _Outdated))
        return _publish(folder, made, state)


def _current(folder: Path, state: SourceState | None) -> PreparedImages:
    """Raises DataCorruptError where the prepared images are damaged, or of another state of their source."""
    prepared = read_prepared(folder)
    if state is not None and (prepared.state is None or prepared.state.version != state.version):
        raise _Outdated(f"{folder} was prepared of other pictures or lists: its source has changed since")
    return prepared


def _repaired(make: Callable[[], MadeImages], damage: DataCorruptError) -> MadeImages:
    """Report damaged images as damaged, never as missing: a sweep would substitute other data."""
    try:
        return make()
    except DataError as error:
        raise DataCorruptError(f"{damage}. It cannot be prepared again: {error}") from error


@contextmanager
def _lock_of(folder: Path, notice: Notice) -> Iterator[bool]:
    """Be the only process that prepares ``folder``; false if the file system, or the operating system, has no locks.

    The system frees the lock of a process that dies. The lock file stays: once removed, it could be locked by two processes at once.
    """
    with ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(folder.with_name(f".{folder.name}.lock").open("ab"))
            _lock(file, lambda: notice(f"waiting for another process that prepares {folder.name}"))
            locked = True
        except (OSError, ImportError):
            locked = False
        yield locked


def _lock(file: BinaryIO, before_waiting: Callable[[], None]) -> None:
    import fcntl  # absent on some systems: the caller continues without a lock

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        before_waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _set_aside(folder: Path, notice: Notice, *, keep: bool) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.corrupt-", dir=folder.parent))
    try:
        folder.replace(aside / folder.name)
    except FileNotFoundError:  # without a lock: another process did it first
        aside.rmdir()
    else:
        if not keep:  # whoever has mapped its array keeps it
            shutil.rmtree(aside, ignore_errors=True)
            return
        notice(f"the damaged {folder.name} was set aside in {aside} and replaced")


def _remove_leftovers(folder: Path) -> None:
    """Remove the partial output of killed preparations of ``folder``, each up to the size of the data set."""
    for path in folder.parent.iterdir():
        if path.name.startswith(f".{folder.name}.") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _publish(folder: Path, made: MadeImages, state: SourceState | None) -> PreparedImages:
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        # Opened before it is renamed: another process without a lock might set the folder aside.
        prepared = replace(write_prepared(making, *made, state=state), array=(folder / ARRAY).absolute())
        try:
            making.rename(folder)
        except OSError:
            if not (folder / MANIFEST).exists():  # a real fault, not another process that was first
                raise
            return read_prepared(folder)
        return prepared
    finally:
        shutil.rmtree(making, ignore_errors=True)
