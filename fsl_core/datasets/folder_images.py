"""A user's own images, from folders of pictures and lists of classes; ``docs/own_images.md`` has a worked example.

torch is not imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fsl_core.datasets.data_set import Classes, DataSet, ImageRequest, SourceState
from fsl_core.datasets.folder_source import PARENT, FolderSource, find_folder, look, missing, what_lies, whole_folder
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.picture import fitted, read_picture
from fsl_core.errors import DataCorruptError
from fsl_core.listeners import Advance
from fsl_core.recipe.data_settings import DataSettings

_SHOWN = 10


def read_images(
    source: FolderSource, *, size: int, channels: int, progress: Advance = lambda done, total: None
) -> tuple[np.ndarray, list[str], list[int]]:
    """All images: uint8 ``[total, channels, size, size]``, classes by name and images by file name; names; sizes.

    Raises:
        DataCorruptError: if a list, a class or a picture is not as it should be; it names all faults of the lists and classes, or the
            first pictures that cannot be read.
    """
    faults = list(source.faults)
    classes = sorted(source.pictures)
    sizes = [len(source.pictures[name]) for name in classes]
    if not faults:
        images = np.empty((sum(sizes), channels, size, size), dtype=np.uint8)
        for place, image in zip(images, _opened(source, channels, faults, progress), strict=True):
            if image is not None:
                place[:] = np.moveaxis(fitted(image, size).reshape(size, size, channels), 2, 0)
    if faults:
        shown = "; ".join(faults[:_SHOWN]) + "…" * (len(faults) > _SHOWN)
        raise DataCorruptError(f"{source.folder} has {len(faults)} fault{'s' * (len(faults) > 1)}: {shown}")
    return images, classes, sizes


def inspect(source: FolderSource, *, progress: Advance = lambda done, total: None) -> Inspection:
    """Look at every picture of a source, without preparing it and without stopping at what is damaged."""
    faults = list(source.faults)
    sizes: Counter[tuple[int, int]] = Counter()
    grey: list[str] = []
    paths = [str(picture.path) for name in sorted(source.pictures) for picture in source.pictures[name]]
    for path, image in zip(paths, _opened(source, 3, faults, progress), strict=True):
        if image is not None:
            sizes[image.size] += 1
            pixels = np.asarray(image)
            if (pixels[..., :1] == pixels[..., 1:]).all():
                grey.append(path)
    return Inspection(dict(sizes), tuple(grey), tuple(faults))


def _opened(source: FolderSource, channels: int, faults: list[str], progress: Advance) -> Iterator[Image.Image | None]:
    """Every picture, upright, class by class; None and a fault for one that cannot be read."""
    pictures = [picture for name in sorted(source.pictures) for picture in source.pictures[name]]
    for done, picture in enumerate(pictures, 1):
        try:
            # A telephone stores a picture as its sensor saw it, and beside it how to turn it.
            yield ImageOps.exif_transpose(read_picture(picture.path, str(picture.path), "RGB" if channels > 1 else "L"))
        except DataCorruptError as error:
            faults.append(str(error))
            yield None
        if done % 100 == 0 or done == len(pictures):
            progress(done, len(pictures))


def _make(request: ImageRequest) -> tuple[np.ndarray, list[str], list[int]]:
    folder = whole_folder(request.data_root, request.data.split)
    if folder is None:
        raise missing(request.data_root, request.data.split)
    source = look(folder)
    if source.unlisted:
        request.notice(f"left out, for no list names them: {', '.join(source.unlisted)}")
    request.notice(f"reading {source.folder}")
    channels, size, _ = _shape(request.data)
    return read_images(source, size=size, channels=channels, progress=request.progress)


def _shape(data: DataSettings) -> tuple[int, int, int]:
    assert data.channels is not None and data.image_size is not None
    return data.channels, data.image_size, data.image_size


def _found(data: DataSettings, data_root: Path | None) -> str | None:
    folder = find_folder(data_root, data.split)
    return None if folder is None else str(folder)


def _inspect(data: DataSettings, data_root: Path | None, progress: Advance) -> Inspection | None:
    folder = whole_folder(data_root, data.split)
    return None if folder is None else inspect(look(folder), progress=progress)


def _state(data: DataSettings, data_root: Path | None) -> SourceState | None:
    folder = whole_folder(data_root, data.split)
    if folder is None:
        return None
    source = look(folder)
    return SourceState(version=source.version, splits=source.splits)


def _without_lists(data: DataSettings, names: Sequence[str]) -> Classes:
    raise DataCorruptError(
        f"the prepared images of {data.split!r} have lost their class lists; prepare them again from their folder"
    )


FOLDER_IMAGES = DataSet(
    name=PARENT,
    title="own images",
    licence="its owner's",
    splits=None,
    rotations=False,
    choices={"image_size": 84, "channels": 3},
    image_shape=_shape,
    counts=lambda data: None,
    prepared_as=lambda data: f"{PARENT}-{data.split}-{data.image_size}x{data.channels}",
    make=_make,
    split_classes=_without_lists,  # the lists are part of the state that is kept with the images
    found=_found,
    what_lies=what_lies,
    inspect=_inspect,
    state=_state,
    downloadable=False,
)
"""A user's own images; the split names their folder."""
