"""Finds and reads the files of miniImageNet: three archives, three folders, or three tables beside one folder."""

from __future__ import annotations

import csv
import io
import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fsl_core.datasets.file_kind import kind_of
from fsl_core.datasets.picture import is_picture
from fsl_core.datasets.source_search import FolderName, visible_folders
from fsl_core.errors import DataCorruptError, DataMissingError

SPLITS = {"meta_train": "train", "meta_validation": "val", "meta_test": "test"}
"""The name of each split in the files."""
FOLDER = FolderName("mini_imagenet", frozenset({"miniimagenet"}))
_MOST_PICTURE_BYTES = 2**26
"""ImageNet's largest picture has 15 MB; a member that unpacks to more than this is malicious."""


@dataclass(frozen=True)
class MiniImageNetSource:
    """The location of the images, in one of the three layouts of :data:`LAYOUTS`."""

    folder: Path
    layout: str

    def __str__(self) -> str:
        return f"{self.folder} ({self.layout})"


@dataclass(frozen=True)
class SourcePicture:
    """One picture file: its class, its name, its location for messages, and the file or its content."""

    wnid: str
    name: str
    where: str
    file: Path | io.BytesIO


def find_source(data_root: Path | None) -> MiniImageNetSource | None:
    """Find the first complete layout in the first folder that has one; None if none has.

    A data root with another name counts only if its contents are clearly miniImageNet: other data sets have a folder ``train`` too.
    """
    for folder in FOLDER.candidates(data_root):
        for layout, (needed, _) in LAYOUTS.items():
            whole = all((folder / name).exists() for name in needed)
            if whole and (folder != data_root or FOLDER.fits(folder.absolute()) or _is_clear(folder, layout)):
                return MiniImageNetSource(folder, layout)
    return None


def _is_clear(folder: Path, layout: str) -> bool:
    """Whether a layout has disjoint classes, as only few-shot data has, or tables with the expected columns."""
    if layout == "folders":
        train, val = ({path.name for path in visible_folders(_split_folder(folder, name))} for name in ("train", "val"))
        return bool(train) and bool(val) and not train & val
    if layout == "tables":
        try:
            return {"filename", "label"} <= set((folder / "train.csv").read_text(encoding="utf-8-sig").split("\n")[0].split(","))
        except (OSError, ValueError):
            return False
    return True


def missing(data_root: Path | None) -> DataMissingError:
    """The error that says what was found, what to obtain and where to put it."""
    folder = Path("<data root>" if data_root is None else data_root) / FOLDER.usual
    return DataMissingError(
        f"miniImageNet in {folder} is missing or incomplete (found: {FOLDER.what_lies(data_root)}) and cannot be downloaded freely: its "
        "images are ImageNet's (ILSVRC 2012, image-net.org), for research use only. Obtain Ravi and Larochelle's 64/16/20 classes "
        "of 600 images and put there (a) train.tar.xz, val.tar.xz and test.tar.xz with members <split>/<wnid>/<picture>, or (b) the "
        "folders train, val and test with <wnid>/<picture>, or (c) the folder images and train.csv, val.csv and test.csv with the "
        "columns filename,label; name the parent folder with --data-root or FSL_DATA_ROOT. The data set 'glyphs' needs no file"
    )


def pictures_of(source: MiniImageNetSource, split: str) -> Iterator[SourcePicture]:
    """Yield the pictures of ``train``, ``val`` or ``test``, in the order of the source.

    Raises:
        DataCorruptError: if an archive or a table is damaged, or has unexpected contents.
    """
    return LAYOUTS[source.layout][1](source.folder, split)


def _in_archive(folder: Path, split: str) -> Iterator[SourcePicture]:
    path = folder / f"{split}.tar.xz"
    try:
        with lzma.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _check_inside(path, member.name)
                if not (member.isreg() or member.isdir()):
                    raise DataCorruptError(f"{path} holds a link or a device: {member.name!r}; do not trust this file")
                if member.size > _MOST_PICTURE_BYTES:
                    raise DataCorruptError(f"{path} holds {member.name!r} of {member.size} bytes; do not trust this file")
                content, parts = archive.extractfile(member), PurePosixPath(member.name).parts
                if content is None or not is_picture(PurePosixPath(member.name)):
                    continue
                if len(parts) not in (3, 4) or parts[-3] != split:  # four if all are inside one more folder
                    raise DataCorruptError(f"{path} holds {member.name!r}, which is not {split}/<wnid>/<picture>")
                yield SourcePicture(parts[-2], parts[-1], f"{path}: {member.name}", io.BytesIO(content.read()))
            while stream.read(2**20):  # to its very end, where the checksums are: a truncated archive has none
                pass
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise DataCorruptError(f"{path} is damaged{_misnamed(path, split)} ({type(error).__name__}: {error})") from error


def _misnamed(path: Path, split: str) -> str:
    kind = kind_of(path)
    if kind == "an xz file":
        return "; download it again"
    return f" or misnamed: it is {kind}. Expected: a tar archive compressed by xz, or its content in the folder {split}"


def _check_inside(path: Path, name: str) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise DataCorruptError(f"{path} has a name that points outside: {name!r}; do not trust this file")


def _in_folder(folder: Path, split: str) -> Iterator[SourcePicture]:
    inside = _split_folder(folder, split)
    for path in sorted(inside.glob("*/*")):
        if is_picture(path.relative_to(inside)):
            yield SourcePicture(path.parent.name, path.name, str(path), path)


def _split_folder(folder: Path, split: str) -> Path:
    """The folder of a split, also if an archive was extracted into a folder of its own name (``train/train``)."""
    twice = folder / split / split
    return twice if twice.is_dir() else folder / split


def _in_table(folder: Path, split: str) -> Iterator[SourcePicture]:
    table = folder / f"{split}.csv"
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, strict=True):
                _check_inside(table, row["filename"])
                path = folder / "images" / row["filename"]
                yield SourcePicture(row["label"], path.name, str(path), path)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataCorruptError(
            f"{table} is not a table with the columns filename,label ({type(error).__name__}: {error})"
        ) from error


LAYOUTS: dict[str, tuple[tuple[str, ...], Callable[[Path, str], Iterator[SourcePicture]]]] = {
    "archives": (tuple(f"{name}.tar.xz" for name in SPLITS.values()), _in_archive),
    "folders": (tuple(SPLITS.values()), _in_folder),
    "tables": (("images", *(f"{name}.csv" for name in SPLITS.values())), _in_table),
}
"""The layouts, in order of preference: the names that each needs, and the function that yields the pictures of a split."""
