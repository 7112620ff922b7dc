"""Finds, downloads and reads the files of Omniglot: two halves, each a ZIP archive or the extracted folder."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fsl_core.datasets.file_kind import kind_of
from fsl_core.datasets.omniglot_split import DRAWERS
from fsl_core.datasets.source_search import FolderName, is_hidden, visible_folders
from fsl_core.errors import DataCorruptError, DataMissingError
from fsl_core.listeners import Notice

HALVES = {"images_background": 964, "images_evaluation": 659}
"""The two halves, and the number of characters in each."""
FOLDER = FolderName("omniglot", frozenset({"omniglot", "omniglotpy"}))
"""``omniglot-py`` is torchvision's name for it."""
_MEMBER = re.compile(r"(?:[^/]+/)?(images_background|images_evaluation)/([^/]+/character\d\d)/(\d{4}_\d\d\.png)")
_MOST_DRAWING_BYTES = 2**20
"""A drawing has some hundred bytes; one that unpacks to more than this is malicious."""

OmniglotSource = Mapping[str, Path]
"""The location of each half: an archive or a folder."""


@dataclass(frozen=True)
class Drawing:
    """One picture file of a character, such as ``Greek/character07``; ``read`` gives its bytes."""

    character: str
    name: str
    where: str
    read: Callable[[], bytes]


def find_source(data_root: Path | None) -> OmniglotSource | None:
    """Find both halves in the first folder that has both; None if none has.

    A half is the archive ``images_background.zip`` or, if there is none, the folder ``images_background``.
    """
    for folder in FOLDER.candidates(data_root):
        halves = {name: half for name in HALVES if (half := _half(folder, name)) is not None}
        if len(halves) == len(HALVES):
            return halves
    return None


def _half(folder: Path, name: str) -> Path | None:
    archive, extracted = folder / f"{name}.zip", folder / name
    if archive.is_file():
        return archive
    return extracted if visible_folders(extracted) else None


def fetch_source(folder: Path, *, data_root: Path | None, notice: Notice) -> OmniglotSource:
    """Download both archives into ``folder`` and check their MD5.

    Raises:
        DataMissingError: if they cannot be downloaded; the message says what was found, which files to get and where to put them.
    """
    from torchvision.datasets import Omniglot  # only to download: importing it takes longer than importing torch
    from torchvision.datasets.utils import download_url

    for name in HALVES:
        notice(f"downloading Omniglot's {name}.zip")
        try:
            url = f"{Omniglot.download_url_prefix}/{name}.zip"
            download_url(url, str(folder), md5=Omniglot.zips_md5[name])
        except (OSError, RuntimeError) as error:
            raise DataMissingError(
                f"Omniglot is missing or incomplete (found: {FOLDER.what_lies(data_root)}) and cannot be downloaded ({error}). Put "
                "images_background.zip and images_evaluation.zip (from the omniglot repository of its author, Brenden Lake), or the "
                "folders extracted from them, into a folder named omniglot and name its parent with --data-root or FSL_DATA_ROOT. "
                "The data set 'glyphs' needs no file"
            ) from error
    return {name: folder / f"{name}.zip" for name in HALVES}


@contextmanager
def opened_half(source: OmniglotSource, half: str) -> Iterator[list[Drawing]]:
    """Open one half: its drawings by character and name, readable while it is open.

    Raises:
        DataCorruptError: if it is damaged or incomplete, or has names that point outside.
    """
    path = source[half]
    if path.is_dir():
        yield _whole(path, half, _in_folder(path, half))
        return
    try:
        with zipfile.ZipFile(path) as file:
            yield _whole(path, half, _in_archive(path, half, file))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise DataCorruptError(
            f"{path} is damaged: it is {kind_of(path)} ({type(error).__name__}: {error}); download it again"
        ) from error


def _in_archive(path: Path, half: str, file: zipfile.ZipFile) -> Iterator[Drawing]:
    for member in file.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise DataCorruptError(f"{path} has a member that points outside: {member.filename!r}; do not trust this archive")
        match = _MEMBER.fullmatch(member.filename)
        if match is None or match[1] != half or is_hidden(name.parts):
            continue
        if member.file_size > _MOST_DRAWING_BYTES:
            raise DataCorruptError(f"{path}: {member.filename} has {member.file_size} bytes; do not trust this archive")
        yield Drawing(match[2], match[3], f"{path}: {member.filename}", lambda member=member: file.read(member))  # type: ignore[misc]


def _in_folder(path: Path, half: str) -> Iterator[Drawing]:
    for folder, _, names in os.walk(path):
        for file in (Path(folder, name) for name in names):
            parts = file.relative_to(path.parent).parts
            match = _MEMBER.fullmatch("/".join(parts))
            if match is not None and match[1] == half and not is_hidden(parts):
                yield Drawing(match[2], match[3], str(file), file.read_bytes)


def _whole(path: Path, half: str, drawings: Iterator[Drawing]) -> list[Drawing]:
    """Sort the drawings. Raises DataCorruptError unless every character has a drawing by each of 20 people."""
    found = sorted(drawings, key=lambda drawing: (drawing.character, drawing.name))
    counts = Counter(drawing.character for drawing in found)
    short = [f"{name} ({count})" for name, count in counts.items() if count != DRAWERS]
    if short:
        raise DataCorruptError(f"{path} is incomplete: each character needs {DRAWERS} drawings; wrong: {', '.join(short[:3])}")
    if len(counts) != HALVES[half]:
        raise DataCorruptError(
            f"{path} is incomplete: it has {len(counts)} characters of {HALVES[half]}; expected: "
            f"{half}/<alphabet>/character<number>/<picture>.png"
        )
    return found
