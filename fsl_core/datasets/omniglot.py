"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people (Lake, Salakhutdinov and Tenenbaum 2015)."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image
from torchvision.datasets import Omniglot as TorchvisionOmniglot
from torchvision.datasets.utils import download_url

from fsl_core.datasets.omniglot_split import DRAWERS
from fsl_core.errors import DataCorruptError, DataMissingError

ARCHIVES = {"images_background": 964, "images_evaluation": 659}
"""The two archives, and how many characters each holds."""
SIZE = 28
_SOURCE_SIZE = (105, 105)
_MEMBER = re.compile(r"(images_background|images_evaluation)/([^/]+)/(character\d\d)/\d{4}_\d\d\.png")


def find_archives(data_root: Path | None) -> dict[str, Path] | None:
    """Where both archives lie under ``<data_root>/omniglot``; None when one is absent."""
    if data_root is None:
        return None
    paths = {name: data_root / "omniglot" / f"{name}.zip" for name in ARCHIVES}
    return paths if all(path.is_file() for path in paths.values()) else None


def fetch_archives(folder: Path, *, announce: Callable[[str], None]) -> dict[str, Path]:
    """Download both archives into ``folder`` and check their MD5.

    Raises:
        DataMissingError: if they cannot be had; the message says which files to get and where to put them.
    """
    for name in ARCHIVES:
        announce(f"downloading Omniglot's {name}.zip")
        try:
            url = f"{TorchvisionOmniglot.download_url_prefix}/{name}.zip"
            download_url(url, str(folder), md5=TorchvisionOmniglot.zips_md5[name])
        except (OSError, RuntimeError) as error:
            raise DataMissingError(
                f"Omniglot is not here and cannot be downloaded ({error}). Put images_background.zip and images_evaluation.zip "
                f"(from the omniglot repository of its author, Brenden Lake) into a folder named omniglot and name its parent with "
                f"--data-root or FSL_DATA_ROOT. The data set 'glyphs' needs no file"
            ) from error
    return {name: folder / f"{name}.zip" for name in ARCHIVES}


def read_archives(paths: dict[str, Path]) -> tuple[np.ndarray, list[str], list[int]]:
    """All images of both archives: uint8 ``[32460, 1, 28, 28]`` with ink 255, the 1,623 class names sorted, the class sizes.

    Raises:
        DataCorruptError: if an archive is damaged, incomplete, or holds what it should not.
    """
    drawings: dict[str, list[np.ndarray]] = {}
    for archive, path in paths.items():
        for name, drawing in _read_archive(path, archive):
            drawings.setdefault(name, []).append(drawing)
    names = sorted(drawings)
    images = np.stack([drawing for name in names for drawing in drawings[name]])[:, None]
    return images, names, [len(drawings[name]) for name in names]


def _read_archive(path: Path, archive: str) -> Sequence[tuple[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as file:
            members = _checked_members(path, archive, file.namelist())
            return [(f"{match[2]}/{match[3]}", _read_drawing(path, file, match[0])) for match in members]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise DataCorruptError(f"{path} is damaged ({type(error).__name__}: {error}); get it again") from error


def _checked_members(path: Path, archive: str, names: list[str]) -> list[re.Match[str]]:
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise DataCorruptError(f"{path} holds a member that points outside: {name!r}; do not trust this archive")
    members = [match for name in sorted(names) if (match := _MEMBER.fullmatch(name)) and match[1] == archive]
    counts: dict[str, int] = {}
    for match in members:
        counts[f"{match[2]}/{match[3]}"] = counts.get(f"{match[2]}/{match[3]}", 0) + 1
    short = [f"{name} ({count})" for name, count in counts.items() if count != DRAWERS]
    if short:
        raise DataCorruptError(f"{path} is incomplete: each character needs {DRAWERS} drawings, unlike {', '.join(short[:3])}")
    if len(counts) != ARCHIVES[archive]:
        raise DataCorruptError(f"{path} is incomplete: it holds {len(counts)} characters of {ARCHIVES[archive]}")
    return members


def _read_drawing(path: Path, file: zipfile.ZipFile, member: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(file.read(member))) as picture:
            if picture.size != _SOURCE_SIZE:
                raise DataCorruptError(f"{path}: {member} is {picture.size} pixels, not {_SOURCE_SIZE}")
            # Converted to 8 bits first: a 1-bit picture would be resized by dropping pixels, and thin strokes with them.
            grey = picture.convert("L").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataCorruptError(f"{path}: {member} cannot be read as a picture ({error})") from error
    return np.asarray(255 - np.asarray(grey, dtype=np.uint8))
