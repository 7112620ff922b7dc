"""A prepared data set on disk: an array, its manifest, and the proof that its bytes are the prepared ones.

Results record the content digest. It is one long SHA-256, which only one processor can compute; so the manifest also has a digest
for each block of the file, which several processors compute at once, and a seal over itself. If the seal is wrong or absent, the
content digest itself is computed: a manifest alone is never trusted.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from fsl_core.atomic_file import naming
from fsl_core.datasets.data_set import SourceState
from fsl_core.datasets.manifest import MANIFEST, read_manifest, write_manifest
from fsl_core.errors import DataChangedError, DataCorruptError, DataError

ARRAY = "images.npy"
BLOCK_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20
_MOST_THREADS = 8
_DAMAGE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO}
"""The system's errors for an incomplete folder or a failing disk. Others say nothing about the images: no permission, too many open
files, an unreachable server."""
_SETTLED_NANOSECONDS = 2 * 10**9
"""The coarsest resolution of file times: those of a younger file do not show whether it changed since."""


@dataclass(frozen=True)
class FileIdentity:
    """Identifies the file that was verified; times in nanoseconds; no program can set ``changed``."""

    device: int
    number: int
    size: int
    modified: int
    changed: int

    @staticmethod
    def of(found: os.stat_result) -> FileIdentity:
        """The identity of a file, from its status."""
        return FileIdentity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def was_written_to(self, now: FileIdentity) -> bool:
        """Whether ``now`` is the same file with other content, and not another file in its place."""
        return (self.device, self.number) == (now.device, now.number) and (self.size, self.modified) != (now.size, now.modified)


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """Every image of a data set, class by class.

    ``images``: uint8 ``[total, C, H, W]``; class ``b`` is called ``class_names[b]`` and owns ``sizes[b]`` images in a row.
    ``digest``: the SHA-256 of the pixels, the names and the sizes. ``array`` and ``identity``: the file that is mapped. ``state``: what
    their source held when they were prepared, where its user may change it.
    """

    images: torch.Tensor
    class_names: tuple[str, ...]
    sizes: tuple[int, ...]
    digest: str
    array: Path
    identity: FileIdentity
    state: SourceState | None = None

    def check_unchanged(self) -> None:
        """Raises DataChangedError if the mapped file was written to after it was verified; a new file in its place is harmless."""
        try:
            now = FileIdentity.of(self.array.stat())
        except OSError:  # moved or removed: the mapping stays as it was
            return
        if self.identity.was_written_to(now):
            raise DataChangedError(
                f"{self.array} was written to while it was in use; nothing computed since the last checkpoint is kept. Launch again: "
                "the images are then verified again"
            )


def content_digest(images: np.ndarray, class_names: Sequence[str], sizes: Sequence[int]) -> str:
    """The SHA-256 of an array of images, the names of its classes and their sizes."""
    digest = _begun_digest(images.shape, class_names, sizes)
    digest.update(np.ascontiguousarray(images, dtype=np.uint8).data)
    return digest.hexdigest()


def _begun_digest(shape: Sequence[int], class_names: Sequence[str], sizes: Sequence[int]) -> hashlib._Hash:
    return hashlib.sha256(json.dumps([list(shape), list(class_names), list(sizes)]).encode())


def write_prepared(
    folder: Path, images: np.ndarray, class_names: Sequence[str], sizes: Sequence[int], *, state: SourceState | None = None
) -> PreparedImages:
    """Write an array and its manifest into ``folder``, flush them to disk, and open the result.

    Raises:
        DataCorruptError: if the file system returns other bytes than were written.
    """
    with naming(folder / ARRAY):
        np.save(folder / ARRAY, images)
    with (folder / ARRAY).open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
        blocks = _block_digests(file, size, BLOCK_BYTES)
    manifest = {"class_names": list(class_names), "sizes": list(sizes), "shape": list(images.shape), "bytes": size}
    manifest |= {"digest": content_digest(images, class_names, sizes), "block_bytes": BLOCK_BYTES, "blocks": blocks}
    write_manifest(folder, manifest, state)
    return read_prepared(folder, in_full=True)


def read_prepared(folder: Path, *, in_full: bool = False) -> PreparedImages:
    """Open a prepared data set after verifying every byte; its array is memory-mapped and shared by all processes of the machine.

    A process verifies a file once, and again only if the system says that it changed. ``in_full`` always computes the content
    digest, whatever the manifest's seal and earlier checks say.

    Raises:
        DataCorruptError: if the folder's content is not what was prepared.
        DataError: if it cannot be read, whatever its content.
    """
    try:
        identity = _identity(folder)
        if in_full or time.time_ns() - max(file.changed for file in identity) < _SETTLED_NANOSECONDS:
            return _verified(folder, in_full=in_full)
        return _verified_once(folder, identity)
    except OSError as error:
        if error.errno not in _DAMAGE:
            raise DataError(f"{error.filename or folder} cannot be read ({error.strerror})") from error
        raise DataCorruptError(f"{folder} is not a prepared data set ({error.strerror}: {error.filename or ARRAY})") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataCorruptError(f"{folder} is not a prepared data set ({type(error).__name__}: {error})") from error


def _identity(folder: Path) -> tuple[FileIdentity, ...]:
    return tuple(FileIdentity.of((folder / name).stat()) for name in (MANIFEST, ARRAY))


@functools.lru_cache(maxsize=4)
def _verified_once(folder: Path, identity: tuple[FileIdentity, ...]) -> PreparedImages:
    return _verified(folder, in_full=False)


def _verified(folder: Path, *, in_full: bool) -> PreparedImages:
    manifest, state, sealed = read_manifest(folder)
    with (folder / ARRAY).open("rb") as file:
        identity = FileIdentity.of(os.fstat(file.fileno()))
        size = identity.size
        if size != manifest["bytes"]:
            raise DataCorruptError(f"{folder / ARRAY} has {size} bytes; its manifest says {manifest['bytes']}")
        if sealed:
            _check_blocks(folder / ARRAY, file, manifest)
        array = _mapped(file, size)
        if in_full or not sealed:
            _check_content(folder, file, array, manifest)
    return PreparedImages(
        images=_as_tensor(array),
        class_names=tuple(manifest["class_names"]),
        sizes=tuple(manifest["sizes"]),
        digest=manifest["digest"],
        array=(folder / ARRAY).absolute(),
        identity=identity,
        state=state,
    )


def _check_blocks(path: Path, file: BinaryIO, manifest: Mapping[str, Any]) -> None:
    found = _block_digests(file, manifest["bytes"], manifest["block_bytes"])
    wrong = [number for number, pair in enumerate(zip(found, manifest["blocks"], strict=True)) if pair[0] != pair[1]]
    if wrong:
        first = wrong[0] * manifest["block_bytes"]
        raise DataCorruptError(
            f"{path}: its content is not what was prepared ({len(wrong)} of {len(found)} blocks differ, the first from byte {first})"
        )


def _check_content(folder: Path, file: BinaryIO, array: np.ndarray, manifest: Mapping[str, Any]) -> None:
    """Read every byte from the file, not from the mapping: a failing disk then raises an error instead of killing the process."""
    digest = _begun_digest(array.shape, manifest["class_names"], manifest["sizes"])
    _feed(digest, file, manifest["bytes"] - array.nbytes, array.nbytes)
    if digest.hexdigest() != manifest["digest"]:
        raise DataCorruptError(f"{folder}: its images, class names or class sizes are not what was prepared")


def _block_digests(file: BinaryIO, size: int, block_bytes: int) -> list[str]:
    """The SHA-256 of each block of a file, computed by one thread per usable processor, at most eight."""

    def of_block(start: int) -> str:
        digest = hashlib.sha256()
        _feed(digest, file, start, block_bytes)
        return digest.hexdigest()

    with ThreadPoolExecutor(_processors()) as pool:
        return list(pool.map(of_block, range(0, size, block_bytes)))


def _processors() -> int:
    """The number of threads to use. More than a few gain nothing, and a container's CPU limit is not visible here."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_THREADS)


def _feed(digest: hashlib._Hash, file: BinaryIO, start: int, size: int) -> None:
    """Add ``size`` bytes of a file from ``start`` to a digest, or as many as the file has."""
    while size > 0 and (content := os.pread(file.fileno(), min(size, _CHUNK_BYTES), start)):
        digest.update(content)
        start, size = start + len(content), size - len(content)


def _mapped(file: BinaryIO, size: int) -> np.ndarray:
    """Map the array in an open ``.npy`` file: the file whose bytes are verified, even if its name now refers to another."""
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("an unsupported version of the array format")
        shape, in_columns, kind = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # parsed as Python: a damaged header raises errors of almost every kind
        raise ValueError(f"its header cannot be read ({error})") from error
    offset = file.tell()
    if kind != np.uint8 or in_columns or len(shape) != 4 or offset + int(np.prod(shape, dtype=object)) != size:
        raise ValueError(f"an array of {kind} {shape}, not of uint8 images")
    return np.memmap(file, dtype=np.uint8, mode="r", offset=offset, shape=shape)


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        # The mapping is read-only and nothing here writes to it; torch warns about writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
