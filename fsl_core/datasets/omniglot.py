"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people (Lake, Salakhutdinov and Tenenbaum 2015)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image

from fsl_core.datasets.inspection import Inspection, Progress
from fsl_core.datasets.omniglot_source import HALVES, Drawing, Source, opened_half
from fsl_core.datasets.omniglot_split import DRAWERS
from fsl_core.datasets.picture import read_picture
from fsl_core.errors import DataCorruptError
from fsl_core.recipe.data_settings import Resize

SIZE = 28
_SOURCE_SIZE = (105, 105)
_TOTAL = DRAWERS * sum(HALVES.values())
# Paper: no text names a filter.
_FILTERS: Mapping[Resize, Image.Resampling] = {"antialiased": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}
"""The drawings have 1 bit, and PIL resizes such a picture by its nearest pixels whatever filter it is given: so do Snell et al.
(2017), who give none, and Finn et al. (2017), who give Lanczos. Nearest sampling from 105 to 28 commutes with quarter turns: that
the former turn the classes before resizing changes no pixel."""


def read_images(
    source: Source, *, resize: Resize = "antialiased", progress: Progress = lambda done, total: None
) -> tuple[np.ndarray, list[str], list[int]]:
    """All images of both halves: uint8 ``[32460, 1, 28, 28]`` with ink 255, the 1,623 class names sorted, the class sizes.

    Raises:
        DataCorruptError: if a half is damaged, incomplete, or holds what it should not.
    """
    images: dict[str, list[np.ndarray]] = {}
    for drawing in _drawings(source, progress, _refuse):
        images.setdefault(drawing.character, []).append(_inked(_opened(drawing), _FILTERS[resize]))
    names = sorted(images)
    array = np.stack([image for name in names for image in images[name]])[:, None]
    return array, names, [len(images[name]) for name in names]


def inspect(source: Source, *, progress: Progress = lambda done, total: None) -> Inspection:
    """Look at every picture of a source, without preparing it and without stopping at what is damaged."""
    sizes: Counter[tuple[int, int]] = Counter()
    faults: list[DataCorruptError] = []
    for drawing in _drawings(source, progress, faults.append):
        try:
            sizes[_opened(drawing).size] += 1
        except DataCorruptError as error:
            faults.append(error)
    return Inspection(dict(sizes), None, tuple(map(str, faults)))


def _refuse(fault: DataCorruptError) -> None:
    raise fault


def _drawings(source: Source, progress: Progress, tell: Callable[[DataCorruptError], None]) -> Iterator[Drawing]:
    """Every drawing of both halves; the other half is still read after a fault of one that ``tell`` does not raise."""
    done = 0
    for half in HALVES:
        try:
            with opened_half(source, half) as drawings:
                for drawing in drawings:
                    yield drawing
                    done += 1
                    if done % 1000 == 0:
                        progress(done, _TOTAL)
        except DataCorruptError as error:
            tell(error)
    progress(_TOTAL, _TOTAL)


def _opened(drawing: Drawing) -> Image.Image:
    try:
        content = drawing.read()
    except Exception as error:  # a damaged archive makes the reader raise errors of many kinds
        raise DataCorruptError(f"{drawing.where} cannot be read ({type(error).__name__}: {error})") from error
    picture = read_picture(io.BytesIO(content), drawing.where, "L")
    if picture.size != _SOURCE_SIZE:
        raise DataCorruptError(f"{drawing.where} is {picture.size} pixels, not {_SOURCE_SIZE}")
    return picture


def _inked(grey: Image.Image, resampling: Image.Resampling) -> np.ndarray:
    """A picture of black ink on white as uint8 ``[28, 28]`` with ink 255.

    It has 8 bits by now, so that the filter is the one asked for.
    """
    return np.asarray(255 - np.asarray(grey.resize((SIZE, SIZE), resampling), dtype=np.uint8))
