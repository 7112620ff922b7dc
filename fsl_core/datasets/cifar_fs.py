"""CIFAR-FS: the 60,000 photographs of CIFAR-100 at 32x32, its 100 classes split by Bertinetto et al. 2019 (arXiv 1805.08136).

The pickles of CIFAR-100 are read by torchvision, after it has compared their checksums with those that it ships: no other pickle is
opened. torch and torchvision are imported where images are read or fetched.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from fsl_core.datasets.data_set import DataSet, ImageRequest, SplitCounts
from fsl_core.datasets.file_kind import kind_of
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.source_search import FolderName
from fsl_core.errors import DataCorruptError, DataMissingError
from fsl_core.listeners import Advance, Notice
from fsl_core.recipe.data_settings import DataSettings

SIZE = 32
IMAGES_PER_CLASS = 600
CHANNEL_MEAN = (129.37731888 / 255, 124.10583864 / 255, 112.47758569 / 255)
CHANNEL_STD = (68.20947949 / 255, 65.43124043 / 255, 70.45866994 / 255)
"""Mean and deviation of red, green and blue, in 0..1, as the code of Lee et al. 2019 (MetaOptNet) has them."""
# Paper: Bertinetto et al. say nothing of a normalisation, and their code divides by 255 and does no more: ``normalise: false``.
FOLDER = FolderName("cifar_fs", frozenset({"cifarfs", "cifar100"}))
_EXTRACTED, _ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"
_LISTS = {"meta_train": "train", "meta_validation": "val", "meta_test": "test"}


@dataclass(frozen=True)
class Cifar100Source:
    """Where CIFAR-100 lies: its archive, or the folder that was extracted from it."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@cache
def _classes(part: str) -> tuple[str, ...]:
    # From the authors' public split lists (the folder splits/bertinetto of their data); together they have each class of CIFAR-100 once.
    file = resources.files("fsl_core.datasets") / "splits" / f"cifar_fs_bertinetto_{_LISTS[part]}.txt"
    return tuple(file.read_text("utf-8").split())


def split_classes() -> dict[str, list[str]]:
    """The 64, 16 and 20 class names of ``meta_train``, ``meta_validation`` and ``meta_test``, in the order of the lists."""
    return {part: list(_classes(part)) for part in _LISTS}


def find_source(data_root: Path | None) -> Cifar100Source | None:
    """The folder ``cifar-100-python`` or, where there is none, its archive, in the first folder that has one; None when none has."""
    for folder in FOLDER.candidates(data_root):
        if (folder / _EXTRACTED).is_dir():
            return Cifar100Source(folder / _EXTRACTED)
        if (folder / _ARCHIVE).is_file():
            return Cifar100Source(folder / _ARCHIVE)
    return None


def fetch_source(folder: Path, *, data_root: Path | None, notice: Notice) -> Cifar100Source:
    """Download the archive of CIFAR-100 into ``folder``; torchvision checks it.

    Raises:
        DataMissingError: if it cannot be had; the message says what lies in the data root, which file to get and where to put it.
    """
    from torchvision.datasets import CIFAR100  # only to download: the import takes longer than torch's own
    from torchvision.datasets.utils import download_url

    notice(f"downloading CIFAR-100's {_ARCHIVE}")
    try:
        download_url(CIFAR100.url, str(folder), filename=_ARCHIVE, md5=CIFAR100.tgz_md5)
    except (OSError, RuntimeError) as error:
        raise DataMissingError(
            f"CIFAR-100 is not here (found: {FOLDER.what_lies(data_root)}) and cannot be downloaded ({error}). Put {_ARCHIVE} (from "
            f"{CIFAR100.url}), or the folder {_EXTRACTED} extracted from it, into a folder named {FOLDER.usual} and name its parent with "
            "--data-root or FSL_DATA_ROOT. The data set 'glyphs' needs no file"
        ) from error
    return Cifar100Source(folder / _ARCHIVE)


def read_images(source: Cifar100Source) -> tuple[np.ndarray, list[str], list[int]]:
    """All images: uint8 ``[60000, 3, 32, 32]``, classes by name, the train part of CIFAR-100 before its test part; names; sizes.

    Raises:
        DataCorruptError: if a checksum differs, or a class or an image is missing or one too many.
    """
    images, labels = _opened(source)
    if faults := _class_faults(labels):
        raise DataCorruptError(f"{source} has {len(faults)} faults: {'; '.join(faults[:10])}{'…' * (len(faults) > 10)}")
    order = np.argsort(labels, kind="stable")
    names, sizes = np.unique(labels, return_counts=True)
    return np.ascontiguousarray(images[order]), names.tolist(), sizes.tolist()


def inspect(source: Cifar100Source, *, progress: Advance = lambda done, total: None) -> Inspection:
    """Look at every picture of a source, without preparing it."""
    try:
        images, labels = _opened(source)
    except DataCorruptError as error:
        return Inspection({}, (), (str(error),))
    grey = np.flatnonzero((images[:, :1] == images[:, 1:]).all(axis=(1, 2, 3)))
    progress(len(images), len(images))
    return Inspection(
        {(SIZE, SIZE): len(images)}, tuple(f"{source}: {labels[row]} (image {row})" for row in grey), tuple(_class_faults(labels))
    )


def _opened(source: Cifar100Source) -> tuple[np.ndarray, np.ndarray]:
    """The images of both parts ``[60000, 3, 32, 32]``, and the class name of each."""
    if source.path.is_dir():
        return _read_checked(source.path)
    from torchvision.datasets import CIFAR100
    from torchvision.datasets.utils import check_integrity, extract_archive

    if not check_integrity(str(source.path), CIFAR100.tgz_md5):
        raise DataCorruptError(
            f"{source} is not CIFAR-100's archive: it is {kind_of(source.path)} of another checksum; get it again"
        )
    with tempfile.TemporaryDirectory(prefix="cifar-100-") as folder:
        extract_archive(str(source.path), folder)
        return _read_checked(Path(folder) / _EXTRACTED)


def _read_checked(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from torchvision.datasets import CIFAR100

    try:
        parts = [CIFAR100(str(folder.parent), train=train) for train in (True, False)]
    except RuntimeError as error:
        raise DataCorruptError(
            f"{folder} is not CIFAR-100 as a whole: a file is absent or of another checksum; get it again"
        ) from error
    images = np.concatenate([part.data for part in parts]).transpose(0, 3, 1, 2)
    labels = np.concatenate([part.targets for part in parts])
    return images, np.array(parts[0].classes)[labels]


def _class_faults(labels: np.ndarray) -> list[str]:
    counts: Mapping[str, int] = Counter(labels.tolist())
    names: Sequence[str] = sorted(name for part in _LISTS for name in _classes(part))
    faults = [
        f"{name} has {counts.get(name, 0)} images of {IMAGES_PER_CLASS}" for name in names if counts.get(name) != IMAGES_PER_CLASS
    ]
    return faults + [f"{name} is no class of CIFAR-100" for name in sorted(set(counts) - set(names))]


def _make(request: ImageRequest) -> tuple[np.ndarray, list[str], list[int]]:
    source = find_source(request.data_root)
    if source is None:
        request.notice(f"CIFAR-100 is not here (found: {FOLDER.what_lies(request.data_root)})")
        source = fetch_source(request.cache_root / "downloads", data_root=request.data_root, notice=request.notice)
    request.notice(f"reading {source}")
    return read_images(source)


def _found(data: DataSettings, data_root: Path | None) -> str | None:
    source = find_source(data_root)
    return None if source is None else str(source)


def _inspect(data: DataSettings, data_root: Path | None, progress: Advance) -> Inspection | None:
    source = find_source(data_root)
    return None if source is None else inspect(source, progress=progress)


CIFAR_FS = DataSet(
    name="cifar_fs",
    title="CIFAR-FS",
    licence="none is stated by the authors of CIFAR-100 (Krizhevsky 2009)",
    splits=("bertinetto",),
    rotations=False,
    choices={"normalise": True},
    image_shape=lambda data: (3, SIZE, SIZE),
    counts=lambda data: SplitCounts(classes={part: len(_classes(part)) for part in _LISTS}, images_per_class=IMAGES_PER_CLASS),
    prepared_as=lambda data: "cifar_fs-32",
    make=_make,
    split_classes=lambda data, names: split_classes(),
    found=_found,
    what_lies=FOLDER.what_lies,
    inspect=_inspect,
    normalisation=(CHANNEL_MEAN, CHANNEL_STD),
)
"""CIFAR-FS, with the split of Bertinetto et al."""
