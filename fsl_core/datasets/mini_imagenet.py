"""miniImageNet: 60,000 photographs of 100 classes of ImageNet at 84x84 (Vinyals et al. 2016), split by Ravi and Larochelle (2017)."""

from __future__ import annotations

import csv
import io
import itertools
import lzma
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
from PIL import Image

from fsl_core.errors import DataCorruptError, DataMissingError

SIZE = 84
# Paper: no text says how the images are normalised. MAML's authors' code divides them by 255 and does no more.
CHANNEL_MEAN = (120.1 / 255, 114.8 / 255, 103.4 / 255)
CHANNEL_STD = (69.3 / 255, 67.5 / 255, 71.0 / 255)
"""Mean and deviation of red, green and blue over the meta-train images, in 0..1."""

SPLITS = {"meta_train": "train", "meta_validation": "val", "meta_test": "test"}
"""What the files call each split."""
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp"}

Progress = Callable[[int, int], None]
"""Told how many images are done, and of how many."""


@dataclass(frozen=True)
class Contents:
    """What a source must hold: the wnids of ``train``, ``val`` and ``test``, and how many images each class has."""

    splits: Mapping[str, Sequence[str]]
    images_per_class: int

    @property
    def class_names(self) -> list[str]:
        """Every wnid, sorted."""
        return sorted(wnid for wnids in self.splits.values() for wnid in wnids)


@dataclass(frozen=True)
class Source:
    """Where the images lie, in one of the three layouts of :data:`LAYOUTS`."""

    folder: Path
    layout: str


@dataclass(frozen=True)
class Inspection:
    """What a source holds. ``sizes`` counts the pictures of each width and height; ``grey`` and ``faults`` name every one there is."""

    sizes: Mapping[tuple[int, int], int]
    grey: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class _Picture:
    wnid: str
    name: str
    where: str
    file: Path | io.BytesIO


def published() -> Contents:
    """The 64, 16 and 20 classes of Ravi and Larochelle with 600 images each."""
    folder = resources.files("fsl_core.datasets") / "splits"
    return Contents({name: (folder / f"mini_imagenet_ravi_{name}.txt").read_text().split() for name in SPLITS.values()}, 600)


def split_classes() -> dict[str, list[str]]:
    """The wnids of ``meta_train``, ``meta_validation`` and ``meta_test``, in the order of the lists."""
    return {part: list(published().splits[name]) for part, name in SPLITS.items()}


def find_source(data_root: Path | None) -> Source | None:
    """The first layout that is there as a whole under ``<data_root>/mini_imagenet``; None when none is."""
    if data_root is None:
        return None
    folder = data_root / "mini_imagenet"
    whole = [layout for layout, (needed, _) in LAYOUTS.items() if all((folder / name).exists() for name in needed)]
    return Source(folder, whole[0]) if whole else None


def missing(data_root: Path | None) -> DataMissingError:
    """The error that says what to obtain and where to put it."""
    folder = Path("<data root>" if data_root is None else data_root) / "mini_imagenet"
    there = [name for needed, _ in LAYOUTS.values() for name in needed if (folder / name).exists()]
    return DataMissingError(
        f"miniImageNet is not in {folder} as a whole (found: {', '.join(there) or 'nothing'}) and cannot be downloaded freely: its "
        "images are ImageNet's (ILSVRC 2012, image-net.org), for research use only. Obtain Ravi and Larochelle's 64/16/20 classes "
        "of 600 images and put there (a) train.tar.xz, val.tar.xz and test.tar.xz with members <split>/<wnid>/<picture>, or (b) the "
        "folders train, val and test with <wnid>/<picture>, or (c) the folder images and train.csv, val.csv and test.csv with the "
        "columns filename,label; name the parent folder with --data-root or FSL_DATA_ROOT. The data set 'glyphs' needs no file"
    )


def read_images(
    source: Source, *, contents: Contents | None = None, progress: Progress = lambda done, total: None
) -> tuple[np.ndarray, list[str], list[int]]:
    """All images: uint8 ``[60000, 3, 84, 84]``, classes by wnid and images by file name; the 100 wnids; the class sizes.

    Raises:
        DataCorruptError: if a picture or an archive is damaged, a class or an image is missing or one too many, or a name is unsafe.
    """
    contents = contents or published()
    classes, each = contents.class_names, contents.images_per_class
    names: dict[str, list[str]] = {wnid: [] for wnid in classes}
    images = np.empty((len(classes) * each, 3, SIZE, SIZE), dtype=np.uint8)
    blocks = dict(zip(classes, images.reshape(len(classes), each, 3, SIZE, SIZE), strict=True))
    for picture in _walk(source, contents, progress, _refuse):
        held = names[picture.wnid]
        if len(held) < each:
            blocks[picture.wnid][len(held)] = fitted(_opened(picture)).transpose(2, 0, 1)
        held.append(picture.name)
    if faults := _class_faults(names, each):
        raise DataCorruptError(f"{source.folder} has {len(faults)} faults: {'; '.join(faults[:10])}{'…' * (len(faults) > 10)}")
    for wnid, block in blocks.items():
        block[:] = block[np.argsort(names[wnid])]
    return images, classes, [each] * len(classes)


def inspect(source: Source, *, contents: Contents | None = None, progress: Progress = lambda done, total: None) -> Inspection:
    """Look at every picture of a source, without preparing it and without stopping at what is damaged."""
    contents = contents or published()
    names: dict[str, list[str]] = {wnid: [] for wnid in contents.class_names}
    sizes: Counter[tuple[int, int]] = Counter()
    grey: list[str] = []
    faults: list[DataCorruptError] = []
    for picture in _walk(source, contents, progress, faults.append):
        names[picture.wnid].append(picture.name)
        try:
            image = _opened(picture)
        except DataCorruptError as error:
            faults.append(error)
            continue
        sizes[image.size] += 1
        pixels = np.asarray(image)
        if (pixels[..., :1] == pixels[..., 1:]).all():
            grey.append(picture.where)
    return Inspection(dict(sizes), tuple(grey), (*map(str, faults), *_class_faults(names, contents.images_per_class)))


def fitted(image: Image.Image) -> np.ndarray:
    """An RGB picture as uint8 ``[84, 84, 3]``: its shorter side resized to 84 (antialiased), its middle kept; one of 84x84 as it is."""
    if image.size != (SIZE, SIZE):
        # Paper: no text says what becomes of the longer side. MAML's authors' code resizes straight to 84x84, out of proportion.
        width, height = (max(SIZE, round(side * SIZE / min(image.size))) for side in image.size)
        left, top = (width - SIZE) // 2, (height - SIZE) // 2
        image = image.resize((width, height), Image.Resampling.LANCZOS).crop((left, top, left + SIZE, top + SIZE))
    return np.asarray(image)


def _opened(picture: _Picture) -> Image.Image:
    try:
        with Image.open(picture.file, formats=_FORMATS) as image:
            return image.convert("RGB")
    except Exception as error:  # a damaged picture makes PIL raise errors of almost every kind
        raise DataCorruptError(f"{picture.where} cannot be read as a picture ({type(error).__name__}: {error})") from error


def _class_faults(names: Mapping[str, Sequence[str]], each: int) -> list[str]:
    faults = [f"{wnid} has {len(held)} images of {each}" for wnid, held in names.items() if len(held) != each]
    twice = ((wnid, name) for wnid, held in names.items() for name, count in Counter(held).items() if count > 1)
    return faults + [f"{wnid} has {name} more than once" for wnid, name in twice]


def _refuse(fault: DataCorruptError) -> None:
    raise fault


def _walk(source: Source, contents: Contents, progress: Progress, tell: Callable[[DataCorruptError], None]) -> Iterator[_Picture]:
    """Every picture of a class of its split; reading goes on after a fault where ``tell`` does not raise it."""
    total, numbers = len(contents.class_names) * contents.images_per_class, itertools.count(1)
    for split, wnids in contents.splits.items():
        try:
            for picture, done in zip(LAYOUTS[source.layout][1](source.folder, split), numbers, strict=False):
                if picture.wnid in wnids:
                    yield picture
                else:
                    tell(DataCorruptError(f"{picture.where}: {picture.wnid!r} is no class of {split}"))
                if done % 100 == 0:
                    progress(min(done, total), total)
        except DataCorruptError as error:
            tell(error)
    progress(total, total)


def _in_archive(folder: Path, split: str) -> Iterator[_Picture]:
    path = folder / f"{split}.tar.xz"
    try:
        with lzma.open(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _check_inside(path, member.name)
                if not (member.isreg() or member.isdir()):
                    raise DataCorruptError(f"{path} holds a link or a device: {member.name!r}; do not trust this file")
                content, parts = archive.extractfile(member), PurePosixPath(member.name).parts
                if content is None or not _is_picture(PurePosixPath(member.name)):
                    continue
                if len(parts) != 3 or parts[0] != split:
                    raise DataCorruptError(f"{path} holds {member.name!r}, which is no {split}/<wnid>/<picture>")
                yield _Picture(parts[1], parts[2], f"{path}: {member.name}", io.BytesIO(content.read()))
            while stream.read(2**20):  # to its very end: the check sums stand there, and a truncated archive has none
                pass
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise DataCorruptError(f"{path} is damaged ({type(error).__name__}: {error}); get it again") from error


def _check_inside(path: Path, name: str) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise DataCorruptError(f"{path} holds a name that points outside: {name!r}; do not trust this file")


def _in_folder(folder: Path, split: str) -> Iterator[_Picture]:
    for path in sorted((folder / split).glob("*/*")):
        if _is_picture(path):
            yield _Picture(path.parent.name, path.name, str(path), path)


def _in_table(folder: Path, split: str) -> Iterator[_Picture]:
    table = folder / f"{split}.csv"
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, strict=True):
                _check_inside(table, row["filename"])
                path = folder / "images" / row["filename"]
                yield _Picture(row["label"], path.name, str(path), path)
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataCorruptError(f"{table} is no table of filename,label ({type(error).__name__}: {error})") from error


def _is_picture(path: PurePath) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in _SUFFIXES


LAYOUTS: dict[str, tuple[tuple[str, ...], Callable[[Path, str], Iterator[_Picture]]]] = {
    "archives": (tuple(f"{name}.tar.xz" for name in SPLITS.values()), _in_archive),
    "folders": (tuple(SPLITS.values()), _in_folder),
    "tables": (("images", *(f"{name}.csv" for name in SPLITS.values())), _in_table),
}
"""The layouts that are read, first to last: the names that each needs, and what gives the pictures of a split."""
