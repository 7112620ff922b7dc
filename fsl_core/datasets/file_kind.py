"""Describes files by their first bytes, and the contents of folders, for users whose data is not found."""

from __future__ import annotations

import os
from pathlib import Path

_TAR_MARK, _TAR_PLACE = b"ustar", 257
_PICKLE_SUFFIXES = {".pkl", ".pickle"}
_PICKLE = "a pickle, never opened here: unpickling runs arbitrary code"
_FIRST_BYTES = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "an empty ZIP archive",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a Git LFS pointer in place of the file",
    b"<": "a web page",
    **{bytes([128, protocol]): _PICKLE for protocol in range(2, 6)},
}
MOST_LISTED = 8


def kind_of(path: Path) -> str:
    """A noun with its article, such as ``a gzip file``; ``unreadable: …`` if the file cannot be read."""
    if path.is_dir():
        return "a folder"
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        return _PICKLE
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if not start:
        return "an empty file"
    if start[_TAR_PLACE:].startswith(_TAR_MARK):
        return "a tar archive"
    return next((kind for mark, kind in _FIRST_BYTES.items() if start.startswith(mark)), "a file")


def lying_in(folder: Path) -> str:
    """The first few names in a folder, each with its kind; ``nothing`` if it is empty or absent."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except OSError as error:
        return f"an unreadable folder: {error.strerror}"
    shown = [f"{name} ({kind_of(folder / name)})" for name in names[:MOST_LISTED]]
    more = [f"{len(names) - MOST_LISTED} more"] if len(names) > MOST_LISTED else []
    return ", ".join(shown + more) or "nothing"
