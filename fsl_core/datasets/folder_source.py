"""The files of a user's own images: a folder of pictures for each class, and a list of classes for each split. No picture is opened."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fsl_core.datasets.class_names import character_of
from fsl_core.datasets.data_set import PARTS
from fsl_core.datasets.picture import is_picture
from fsl_core.datasets.source_search import is_hidden, visible_folders
from fsl_core.errors import DataMissingError

PARENT, PICTURES = "folder", "images"
LISTS = {part: f"{part}.txt" for part in PARTS}
LEAST_PICTURES = 2
"""A class needs a picture to learn from and one to ask about."""


@dataclass(frozen=True)
class Picture:
    """A picture file, and what changes when it is replaced."""

    path: Path
    bytes: int
    modified: int


@dataclass(frozen=True)
class FolderSource:
    """What lies in a folder: the classes of each split, the pictures of each class, by file name, and all that is wrong with it.

    No picture was opened. ``unlisted`` are folders of pictures that are in no list.
    """

    folder: Path
    splits: Mapping[str, tuple[str, ...]]
    pictures: Mapping[str, tuple[Picture, ...]]
    unlisted: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def version(self) -> str:
        """Twelve hex digits that change when a list, or the name, size or time of a picture changes."""
        files = {name: [(each.path.name, each.bytes, each.modified) for each in held] for name, held in self.pictures.items()}
        return hashlib.sha256(json.dumps([self.splits, files], sort_keys=True).encode()).hexdigest()[:12]


def find_folder(data_root: Path | None, name: str) -> Path | None:
    """``<data root>/folder/<name>``; None unless the folder ``images`` and the three lists are there."""
    return None if data_root is None or _absent(data_root / PARENT / name) else data_root / PARENT / name


def whole_folder(data_root: Path | None, name: str) -> Path | None:
    """As :func:`find_folder`, where images are to be read: None only if there is no such folder at all.

    Raises:
        DataMissingError: if the folder lacks a list or its pictures. The images prepared from it earlier may not be its own any more.
    """
    folder = find_folder(data_root, name)
    if folder is None and data_root is not None and (data_root / PARENT / name).is_dir():
        place = data_root / PARENT / name
        raise DataMissingError(
            f"{place} lacks {', '.join(_absent(place))}. Restore what is missing; docs/own_images.md says what belongs there. Where "
            "the whole folder is absent, the images prepared from it earlier are used"
        )
    return folder


def _absent(folder: Path) -> list[str]:
    """What a whole folder of images has and this one lacks."""
    return [name for name in (PICTURES, *LISTS.values()) if not (folder / name).exists()]


def what_lies(data_root: Path | None) -> str:
    """The folders of images that a data root holds, as a part of a sentence, and what they lack."""
    if data_root is None:
        return "nothing, for no data root is given"
    folders = {folder.name: _absent(folder) for folder in visible_folders(data_root / PARENT)}
    held = [f"{name} (without {', '.join(absent)})" if absent else name for name, absent in folders.items()]
    return f"{', '.join(held) or 'no folder'} in {data_root / PARENT}"


def missing(data_root: Path | None, name: str) -> DataMissingError:
    """The error that says what lies there and what to put where."""
    folder = Path("<data root>" if data_root is None else data_root) / PARENT / name
    return DataMissingError(
        f"your images {name!r} are not here (found: {what_lies(data_root)}). Put each class's pictures into a folder of its own, "
        f"{folder / PICTURES}/<class>, and the names of the classes, one a line, into {', '.join(LISTS.values())} in {folder}; name the "
        "data root with --data-root or FSL_DATA_ROOT. docs/own_images.md has an example"
    )


def look(folder: Path) -> FolderSource:
    """Read the lists and the names of the pictures, and note all that is wrong with them."""
    faults: list[str] = []
    splits = {part: tuple(_listed(folder / file, faults)) for part, file in LISTS.items()}
    faults += [*_repeated(splits), *_linked(folder, splits)]
    pictures = {}
    for part, classes in splits.items():
        for name in dict.fromkeys(classes):
            pictures[name] = tuple(_pictures_of(folder, name, LISTS[part], faults))
    unlisted = [name for name in _folders_of_pictures(folder / PICTURES) if name not in pictures]
    return FolderSource(folder, splits, pictures, tuple(unlisted), tuple(faults))


def _listed(file: Path, faults: list[str]) -> list[str]:
    """The class names of a list, one a line; blank lines do not count."""
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        faults.append(f"{file.name} cannot be read ({type(error).__name__}: {error})")
        return []
    if not found:
        faults.append(f"{file.name} names no class")
    return found


def _repeated(splits: Mapping[str, tuple[str, ...]]) -> list[str]:
    where: dict[str, list[str]] = {}
    for part, classes in splits.items():
        for name in classes:
            where.setdefault(name, []).append(LISTS[part])
    return [f"class {name!r} is listed {len(files)} times: {', '.join(files)}" for name, files in where.items() if len(files) > 1]


def _linked(folder: Path, splits: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """A fault for each class whose folder is, by a link, the folder of another: its pictures would be in two classes."""
    first: dict[Path, str] = {}
    for part, classes in splits.items():
        for name in dict.fromkeys(classes):
            real = (folder / PICTURES / name).resolve()
            if real.is_dir() and first.setdefault(real, name) != name:
                yield f"class {name!r} of {LISTS[part]} has the folder of class {first[real]!r}, by a link"


def _pictures_of(folder: Path, name: str, file: str, faults: list[str]) -> list[Picture]:
    """The pictures that lie directly in a class's folder, by file name."""
    if problem := _class_problem(folder, name):
        faults.append(f"class {name!r} of {file} {problem}")
        return []
    inside = folder / PICTURES / name
    found = list(_scanned(inside))
    outside = [picture.path for picture in found if picture.path.is_symlink() and _leads_outside(picture.path, folder)]
    faults += [f"{path} is a link to what lies outside of {folder}" for path in outside]
    if len(found) < LEAST_PICTURES:
        needed = f"{LEAST_PICTURES} are needed, one to learn from and one to ask about"
        faults.append(f"class {name!r} of {file} has {len(found)} picture{'s' * (len(found) != 1)} in {inside}: {needed}")
    return found


def _class_problem(folder: Path, name: str) -> str | None:
    """Why no pictures of a class can be looked for."""
    pure, inside = PurePosixPath(name), folder / PICTURES / name
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or str(pure) != name:
        return f"is no path of a folder in {PICTURES}"
    if character_of(name) != name:
        return "has the name of a turned class: give it one that does not end so"
    if not inside.is_dir():
        return f"has no folder {inside}"
    if _leads_outside(inside, folder):
        return f"has a folder {inside} that is a link to what lies outside of {folder}"
    return None if os.access(inside, os.R_OK | os.X_OK) else f"has a folder {inside} that cannot be read"


def _scanned(inside: Path) -> Iterator[Picture]:
    with os.scandir(inside) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if is_picture(PurePosixPath(entry.name)) and entry.is_file():
                status = entry.stat()
                yield Picture(inside / entry.name, status.st_size, status.st_mtime_ns)


def _leads_outside(path: Path, folder: Path) -> bool:
    return not path.resolve().is_relative_to(folder.resolve())


def _folders_of_pictures(pictures: Path) -> Iterator[str]:
    """The folders below ``images`` that hold a picture, by their names as lists have them, sorted."""
    for place, below, files in os.walk(pictures):
        below[:] = sorted(name for name in below if not is_hidden([name]))
        if Path(place) != pictures and any(is_picture(PurePosixPath(file)) for file in files):
            yield Path(place).relative_to(pictures).as_posix()
