"""miniImageNet: 60,000 photographs of 100 classes of ImageNet at 84x84 (Vinyals et al. 2016), split by Ravi and Larochelle (2017)."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from fsl_core.datasets import mini_imagenet_source
from fsl_core.datasets.data_set import DataSet, ImageRequest, SplitCounts
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.mini_imagenet_source import SPLITS, MiniImageNetSource, SourcePicture, find_source, pictures_of
from fsl_core.datasets.picture import fitted, read_picture
from fsl_core.errors import DataCorruptError
from fsl_core.listeners import Advance
from fsl_core.recipe.data_settings import DataSettings

SIZE = 84
# Paper: no paper says how the images are normalised. MAML's authors' code only divides them by 255: ``normalise: false``.
CHANNEL_MEAN = (120.1 / 255, 114.8 / 255, 103.4 / 255)
CHANNEL_STD = (69.3 / 255, 67.5 / 255, 71.0 / 255)
"""Mean and standard deviation of red, green and blue over the meta-train images, in 0..1."""


@dataclass(frozen=True)
class Contents:
    """The required contents of a source: the wnids of ``train``, ``val`` and ``test``, and the number of images per class."""

    splits: Mapping[str, Sequence[str]]
    images_per_class: int

    @property
    def class_names(self) -> list[str]:
        """Every wnid, sorted."""
        return sorted(wnid for wnids in self.splits.values() for wnid in wnids)


def published() -> Contents:
    """The 64, 16 and 20 classes of Ravi and Larochelle with 600 images each."""
    folder = resources.files("fsl_core.datasets") / "splits"
    return Contents(
        {name: (folder / f"mini_imagenet_ravi_{name}.txt").read_text("utf-8").split() for name in SPLITS.values()}, 600
    )


def split_classes() -> dict[str, list[str]]:
    """The wnids of ``meta_train``, ``meta_validation`` and ``meta_test``, in the order of the lists."""
    return {part: list(published().splits[name]) for part, name in SPLITS.items()}


def read_images(
    source: MiniImageNetSource, *, contents: Contents | None = None, progress: Advance = lambda done, total: None
) -> tuple[np.ndarray, list[str], list[int]]:
    """Read all images: uint8 ``[60000, 3, 84, 84]``, classes by wnid and images by file name; the 100 wnids; the class sizes.

    Raises:
        DataCorruptError: if a picture or an archive is damaged, a class or an image is missing or surplus, or a name is unsafe.
    """
    contents = contents or published()
    classes, each = contents.class_names, contents.images_per_class
    names: dict[str, list[str]] = {wnid: [] for wnid in classes}
    images = np.empty((len(classes) * each, 3, SIZE, SIZE), dtype=np.uint8)
    blocks = dict(zip(classes, images.reshape(len(classes), each, 3, SIZE, SIZE), strict=True))
    for picture in _walk(source, contents, progress, _refuse):
        held = names[picture.wnid]
        if len(held) < each:
            # Paper: no text says what becomes of the longer side. MAML's authors' code resizes straight to 84x84, out of proportion.
            blocks[picture.wnid][len(held)] = fitted(_opened(picture), SIZE).transpose(2, 0, 1)
        held.append(picture.name)
    if faults := _class_faults(names, each):
        raise DataCorruptError(f"{source.folder} has {len(faults)} faults: {'; '.join(faults[:10])}{'…' * (len(faults) > 10)}")
    for wnid, block in blocks.items():
        block[:] = block[np.argsort(names[wnid])]
    return images, classes, [each] * len(classes)


def inspect(
    source: MiniImageNetSource, *, contents: Contents | None = None, progress: Advance = lambda done, total: None
) -> Inspection:
    """Inspect every picture of a source without preparing it; continue past damaged ones."""
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


def _opened(picture: SourcePicture) -> Image.Image:
    return read_picture(picture.file, picture.where, "RGB")


def _class_faults(names: Mapping[str, Sequence[str]], each: int) -> list[str]:
    faults = [f"{wnid} has {len(held)} images of {each}" for wnid, held in names.items() if len(held) != each]
    twice = ((wnid, name) for wnid, held in names.items() for name, count in Counter(held).items() if count > 1)
    return faults + [f"{wnid} has {name} more than once" for wnid, name in twice]


def _refuse(fault: DataCorruptError) -> None:
    raise fault


def _walk(
    source: MiniImageNetSource, contents: Contents, progress: Advance, report: Callable[[DataCorruptError], None]
) -> Iterator[SourcePicture]:
    """Yield every picture of a class of its split; faults go to ``report``, and reading continues unless it raises."""
    total, numbers = len(contents.class_names) * contents.images_per_class, itertools.count(1)
    for split, wnids in contents.splits.items():
        try:
            for picture, done in zip(pictures_of(source, split), numbers, strict=False):
                if picture.wnid in wnids:
                    yield picture
                else:
                    report(DataCorruptError(f"{picture.where}: {picture.wnid!r} is not a class of {split}"))
                if done % 100 == 0:
                    progress(min(done, total), total)
        except DataCorruptError as error:
            report(error)
    progress(total, total)


def _make(request: ImageRequest) -> tuple[np.ndarray, list[str], list[int]]:
    source = find_source(request.data_root)
    if source is None:
        raise mini_imagenet_source.missing(request.data_root)
    request.notice(f"reading {source}")
    return read_images(source, progress=request.progress)


def _found(data: DataSettings, data_root: Path | None) -> str | None:
    source = find_source(data_root)
    return None if source is None else str(source)


def _inspect(data: DataSettings, data_root: Path | None, progress: Advance) -> Inspection | None:
    source = find_source(data_root)
    return None if source is None else inspect(source, progress=progress)


@cache
def _counts() -> SplitCounts:
    classes = {part: len(names) for part, names in split_classes().items()}
    return SplitCounts(classes=classes, images_per_class=published().images_per_class)


MINI_IMAGENET = DataSet(
    name="mini_imagenet",
    title="miniImageNet",
    licence="ImageNet's terms of access: for research and teaching, not to be passed on",
    splits=("ravi",),
    rotations=False,
    choices={"normalise": True},
    image_shape=lambda data: (3, SIZE, SIZE),
    counts=lambda data: _counts(),
    prepared_as=lambda data: "mini_imagenet-84",
    make=_make,
    split_classes=lambda data, names: split_classes(),
    found=_found,
    what_lies=mini_imagenet_source.FOLDER.what_lies,
    inspect=_inspect,
    downloadable=False,
    normalisation=(CHANNEL_MEAN, CHANNEL_STD),
)
"""miniImageNet, with the split of Ravi and Larochelle."""
