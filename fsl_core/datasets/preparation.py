"""A data set as it lies on disk once prepared: one uint8 array and its manifest, made whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from fsl_core.errors import DataCorruptError

_ARRAY, _MANIFEST = "images.npy", "manifest.json"


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """Every image of a data set, class by class.

    ``images``: uint8 ``[total, C, H, W]``; class ``b`` is called ``class_names[b]`` and owns ``sizes[b]`` images in a row.
    ``digest``: the SHA-256 of the pixels, the names and the sizes.
    """

    images: torch.Tensor
    class_names: tuple[str, ...]
    sizes: tuple[int, ...]
    digest: str


def content_digest(images: np.ndarray, class_names: Sequence[str], sizes: Sequence[int]) -> str:
    """The SHA-256 of an array of images, the names of its classes and their sizes."""
    digest = hashlib.sha256(json.dumps([list(images.shape), list(class_names), list(sizes)]).encode())
    digest.update(np.ascontiguousarray(images, dtype=np.uint8).data)
    return digest.hexdigest()


def open_prepared(
    folder: Path, make: Callable[[], tuple[np.ndarray, Sequence[str], Sequence[int]]], *, announce: Callable[[str], None]
) -> PreparedImages:
    """Open the prepared data set in ``folder``, after making it there where it is missing.

    ``make`` returns the array, the class names and the class sizes. What it gives is written beside ``folder`` and then renamed: a
    crash leaves nothing that could be taken for a data set, and the next preparation removes what it did leave. Of several
    processes one prepares and the others wait for it; where the file system has no locks each prepares, and the later discards its
    own. A prepared folder that is not whole is moved aside, said so, and made anew.
    """
    with suppress(DataCorruptError):  # absent or damaged: looked at again below, by one process at a time
        return read_prepared(folder)
    with _lock_of(folder, announce) as locked:
        if folder.exists():
            try:
                return read_prepared(folder)
            except DataCorruptError as error:
                _set_aside(folder, error, announce)
        if locked:  # else what looks left behind may be another process at work
            _remove_leftovers(folder)
        announce(f"preparing {folder.name} once, in {folder}")
        return _publish(folder, *make())


@contextmanager
def _lock_of(folder: Path, announce: Callable[[str], None]) -> Iterator[bool]:
    """Be the only process that prepares ``folder``; false where the file system, or the system, has no locks.

    The system itself frees the lock of a process that dies. Its file stays: one that is removed could be locked by two at once.
    """
    with ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            file = held.enter_context(folder.with_name(f".{folder.name}.lock").open("ab"))
            _lock(file, lambda: announce(f"waiting for another process that prepares {folder.name}"))
            locked = True
        except (OSError, ImportError):
            locked = False
        yield locked


def _lock(file: BinaryIO, before_waiting: Callable[[], None]) -> None:
    import fcntl  # where the system has none, the caller goes on without

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        before_waiting()
        fcntl.flock(file, fcntl.LOCK_EX)


def _set_aside(folder: Path, error: DataCorruptError, announce: Callable[[str], None]) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.corrupt-", dir=folder.parent))
    try:
        folder.replace(aside / folder.name)
    except FileNotFoundError:  # without a lock: another process did it first
        aside.rmdir()
    else:
        announce(f"{error}; it was set aside in {aside} and is prepared again")


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed preparations of ``folder`` were writing, each as large as the data set."""
    for path in folder.parent.iterdir():
        if path.name.startswith(f".{folder.name}.") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _publish(folder: Path, images: np.ndarray, class_names: Sequence[str], sizes: Sequence[int]) -> PreparedImages:
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        np.save(making / _ARRAY, images)
        manifest = {"class_names": list(class_names), "sizes": list(sizes), "shape": list(images.shape)}
        manifest |= {"bytes": (making / _ARRAY).stat().st_size, "digest": content_digest(images, class_names, sizes)}
        (making / _MANIFEST).write_text(json.dumps(manifest))
        for name in (_ARRAY, _MANIFEST):
            with (making / name).open("rb") as file:
                os.fsync(file.fileno())
        prepared = read_prepared(making)  # before it gets its name: another process without a lock might set that aside again
        try:
            making.rename(folder)
        except OSError:
            if not (folder / _MANIFEST).exists():  # not another process that was first, but a real fault
                raise
            return read_prepared(folder)
        return prepared
    finally:
        shutil.rmtree(making, ignore_errors=True)


def read_prepared(folder: Path, *, verify: bool = False) -> PreparedImages:
    """Open a prepared data set, its array memory-mapped and shared by all processes of the machine.

    Sizes are compared always, which is quick; with ``verify`` every byte is.

    Raises:
        DataCorruptError: if the folder does not hold what its manifest says.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text())
        size = (folder / _ARRAY).stat().st_size
        if size != manifest["bytes"]:
            raise DataCorruptError(f"{folder / _ARRAY} has {size} bytes; its manifest says {manifest['bytes']}")
        array = np.load(folder / _ARRAY, mmap_mode="r", allow_pickle=False)
        prepared = PreparedImages(
            images=_as_tensor(array),
            class_names=tuple(manifest["class_names"]),
            sizes=tuple(manifest["sizes"]),
            digest=manifest["digest"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataCorruptError(f"{folder} is not a prepared data set ({type(error).__name__}: {error})") from error
    if verify and content_digest(array, prepared.class_names, prepared.sizes) != prepared.digest:
        raise DataCorruptError(f"{folder / _ARRAY}: its content is not what was prepared; remove {folder} to prepare it again")
    return prepared


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        # The mapping is read-only and nothing here writes to it; torch warns of what could happen if something did.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
