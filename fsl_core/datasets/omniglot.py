"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people (Lake, Salakhutdinov and Tenenbaum 2015)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from fsl_core.datasets import omniglot_source, omniglot_split
from fsl_core.datasets.data_set import DataSet, ImageRequest, SplitCounts
from fsl_core.datasets.inspection import Inspection
from fsl_core.datasets.omniglot_source import HALVES, Drawing, OmniglotSource, find_source, opened_half
from fsl_core.datasets.omniglot_split import DRAWERS
from fsl_core.datasets.picture import read_picture
from fsl_core.errors import DataCorruptError
from fsl_core.listeners import Advance
from fsl_core.recipe.data_settings import DataSettings, Resize

SIZE = 28
_SOURCE_SIZE = (105, 105)
_TOTAL = DRAWERS * sum(HALVES.values())
# Paper: no paper names a filter.
_FILTERS: Mapping[Resize, Image.Resampling] = {"antialiased": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}
"""The drawings have 1 bit, and PIL resizes 1-bit pictures by nearest pixels whatever filter is requested. So the code of Snell et al.
(2017), which requests none, and of Finn et al. (2017), which requests Lanczos, both use nearest pixels. Nearest sampling from 105 to 28
commutes with quarter turns: Snell et al. rotate before resizing, which changes no pixel."""


def read_images(
    source: OmniglotSource, *, resize: Resize = "antialiased", progress: Advance = lambda done, total: None
) -> tuple[np.ndarray, list[str], list[int]]:
    """Read all images of both halves: uint8 ``[32460, 1, 28, 28]`` with ink 255, the 1,623 class names sorted, the class sizes.

    Raises:
        DataCorruptError: if a half is damaged or incomplete, or has unexpected contents.
    """
    images: dict[str, list[np.ndarray]] = {}
    for drawing in _drawings(source, progress, _refuse):
        images.setdefault(drawing.character, []).append(_inked(_opened(drawing), _FILTERS[resize]))
    names = sorted(images)
    array = np.stack([image for name in names for image in images[name]])[:, None]
    return array, names, [len(images[name]) for name in names]


def inspect(source: OmniglotSource, *, progress: Advance = lambda done, total: None) -> Inspection:
    """Inspect every picture of a source without preparing it; continue past damaged ones."""
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


def _drawings(source: OmniglotSource, progress: Advance, report: Callable[[DataCorruptError], None]) -> Iterator[Drawing]:
    """Yield every drawing of both halves; faults go to ``report``, and the other half is still read unless it raises."""
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
            report(error)
    progress(_TOTAL, _TOTAL)


def _opened(drawing: Drawing) -> Image.Image:
    try:
        content = drawing.read()
    except Exception as error:  # on a damaged archive the reader raises errors of many kinds
        raise DataCorruptError(f"{drawing.where} cannot be read ({type(error).__name__}: {error})") from error
    picture = read_picture(io.BytesIO(content), drawing.where, "L")
    if picture.size != _SOURCE_SIZE:
        raise DataCorruptError(f"{drawing.where} is {picture.size} pixels, not {_SOURCE_SIZE}")
    return picture


def _inked(grey: Image.Image, resampling: Image.Resampling) -> np.ndarray:
    """Resize a picture of black ink on white to uint8 ``[28, 28]`` with ink 255.

    It has 8 bits already, so PIL uses the requested filter.
    """
    return np.asarray(255 - np.asarray(grey.resize((SIZE, SIZE), resampling), dtype=np.uint8))


def _make(request: ImageRequest) -> tuple[np.ndarray, list[str], list[int]]:
    source, data_root = find_source(request.data_root), request.data_root
    if source is None:
        request.notice(f"Omniglot is missing or incomplete (found: {omniglot_source.FOLDER.what_lies(data_root)})")
        downloads = request.cache_root / "downloads"
        source = omniglot_source.fetch_source(downloads, data_root=data_root, notice=request.notice)
    request.notice(f"reading {_halves(source)}")
    return read_images(source, resize=request.data.resize or "antialiased", progress=request.progress)


def _halves(source: OmniglotSource) -> str:
    return " and ".join(map(str, source.values()))


def _found(data: DataSettings, data_root: Path | None) -> str | None:
    source = find_source(data_root)
    return None if source is None else _halves(source)


def _inspect(data: DataSettings, data_root: Path | None, progress: Advance) -> Inspection | None:
    source = find_source(data_root)
    return None if source is None else inspect(source, progress=progress)


def _split_classes(split: str, names: Sequence[str]) -> dict[str, list[str]]:
    return omniglot_split.split_classes(split, names, omniglot_split.evaluation_alphabets())


@cache
def _counts(split: str) -> SplitCounts:
    parts = _split_classes(split, omniglot_split.class_names())
    return SplitCounts(classes={part: len(names) for part, names in parts.items()}, images_per_class=DRAWERS)


OMNIGLOT = DataSet(
    name="omniglot",
    title="Omniglot",
    licence="MIT, Brenden Lake",
    splits=("vinyals", "background-evaluation"),
    rotations=True,
    choices={"resize": "antialiased"},
    image_shape=lambda data: (1, SIZE, SIZE),
    counts=lambda data: _counts(data.split),
    prepared_as=lambda data: "omniglot-28" if data.resize == "antialiased" else f"omniglot-28-{data.resize}",
    make=_make,
    split_classes=lambda data, names: _split_classes(data.split, names),
    found=_found,
    what_lies=omniglot_source.FOLDER.what_lies,
    inspect=_inspect,
)
"""Omniglot, with the split of Vinyals et al. and the split of its authors."""
