"""The files of Omniglot: its two halves, each a ZIP archive or the folder extracted from it, wherever they usually lie."""

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

HALVES = {"images_background": 964, "images_evaluation": 659}
"""The two halves, and how many characters each holds."""
FOLDER = FolderName("omniglot", frozenset({"omniglot", "omniglotpy"}))
"""``omniglot-py`` is torchvision's name for it."""
_MEMBER = re.compile(r"(?:[^/]+/)?(images_background|images_evaluation)/([^/]+/character\d\d)/(\d{4}_\d\d\.png)")
_MOST_DRAWING_BYTES = 2**20
"""A drawing has some hundred bytes; one that unpacks to more than this is a trap."""

Source = Mapping[str, Path]
"""Where each half lies: an archive or a folder."""


@dataclass(frozen=True)
class Drawing:
    """One picture file of a character, such as ``Greek/character07``; ``read`` gives its bytes."""

    character: str
    name: str
    where: str
    read: Callable[[], bytes]


def find_source(data_root: Path | None) -> Source | None:
    """Where both halves lie, in the first folder that has both; None when none has.

    A half is the archive ``images_background.zip`` or, where there is none, the folder ``images_background``.
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


def fetch_source(folder: Path, *, data_root: Path | None, announce: Callable[[str], None]) -> Source:
    """Download both archives into ``folder`` and check their MD5.

    Raises:
        DataMissingError: if they cannot be had; the message says what lies in the data root, which files to get and where to put them.
    """
    from torchvision.datasets import Omniglot  # only to download: the import takes longer than torch's own
    from torchvision.datasets.utils import download_url

    for name in HALVES:
        announce(f"downloading Omniglot's {name}.zip")
        try:
            url = f"{Omniglot.download_url_prefix}/{name}.zip"
            download_url(url, str(folder), md5=Omniglot.zips_md5[name])
        except (OSError, RuntimeError) as error:
            raise DataMissingError(
                f"Omniglot is not here as a whole (found: {FOLDER.what_lies(data_root)}) and cannot be downloaded ({error}). Put "
                "images_background.zip and images_evaluation.zip (from the omniglot repository of its author, Brenden Lake), or the "
                "folders extracted from them, into a folder named omniglot and name its parent with --data-root or FSL_DATA_ROOT. "
                "The data set 'glyphs' needs no file"
            ) from error
    return {name: folder / f"{name}.zip" for name in HALVES}


@contextmanager
def opened_half(source: Source, half: str) -> Iterator[list[Drawing]]:
    """The drawings of one half, by character and name; they can be read while it is open.

    Raises:
        DataCorruptError: if it is damaged, incomplete, or holds names that point outside.
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
            f"{path} is damaged: it is {kind_of(path)} ({type(error).__name__}: {error}); get it again"
        ) from error


def _in_archive(path: Path, half: str, file: zipfile.ZipFile) -> Iterator[Drawing]:
    for member in file.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise DataCorruptError(f"{path} holds a member that points outside: {member.filename!r}; do not trust this archive")
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
    """The drawings in their order. Raises DataCorruptError unless every character is there, with a drawing by each of 20 people."""
    found = sorted(drawings, key=lambda drawing: (drawing.character, drawing.name))
    counts = Counter(drawing.character for drawing in found)
    short = [f"{name} ({count})" for name, count in counts.items() if count != DRAWERS]
    if short:
        raise DataCorruptError(f"{path} is incomplete: each character needs {DRAWERS} drawings, unlike {', '.join(short[:3])}")
    if len(counts) != HALVES[half]:
        raise DataCorruptError(
            f"{path} is incomplete: it holds {len(counts)} characters of {HALVES[half]}, each looked for as "
            f"{half}/<alphabet>/character<number>/<picture>.png"
        )
    return found
