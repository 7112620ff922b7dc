"""The description of a data set, as one value. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.datasets.inspection import Inspection
from fsl_core.listeners import Advance, Notice

if TYPE_CHECKING:
    from fsl_core.datasets.preparation import MadeImages
    from fsl_core.recipe.data_settings import DataSettings

PARTS = ("meta_train", "meta_validation", "meta_test")
"""The disjoint parts of the classes of a data set."""
Classes = Mapping[str, Sequence[str]]
"""The class names of ``meta_train``, ``meta_validation`` and ``meta_test``."""
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
"""What is subtracted from each channel of images in 0..1, and what the rest is divided by: its mean and its standard deviation."""


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """Number of classes in ``meta_train``, ``meta_validation`` and ``meta_test``, and the least number of images per class."""

    classes: Mapping[str, int]
    images_per_class: int


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What a source that its user may change holds now: its class lists, and a ``version`` that any change of it changes.

    It is kept with the images that are prepared of it: they are prepared again where the version is another.
    """

    version: str
    splits: Classes


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A request to make the images of a data set.

    ``cache_root``: where downloads may be kept; ``notice`` receives sentences for the user, ``progress`` the number of images read.
    """

    data: DataSettings
    data_root: Path | None
    cache_root: Path
    notice: Notice
    progress: Advance


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set, described by data and functions that need no torch.

    Attributes:
        name: its name in sweep files.
        title: its name in tables.
        licence: the terms under which its images may be used.
        splits: the names of its class splits, the default first; None if the user names them.
        rotations: whether a class rotated by 90 degrees is a new class.
        choices: the optional fields of ``DataSettings`` that this data set has, each with its default.
        image_shape: ``(C, H, W)`` of every image.
        counts: the size of its splits, known without an image; None if only the images tell.
        prepared_as: the name of the folder of its prepared images.
        make: makes its images, uint8 ``[N, C, H, W]`` class by class, with the class names and sizes.
        split_classes: the class names of each part of a split, taken from the prepared names.
        found: the source that would be read, in words; None if there is none.
        what_lies: what is present where a source is expected, in words.
        inspect: inspects the source alone; None if there is none.
        state: the part of a source that its user may change; None if it never changes, or is absent.
        downloadable: whether it can be downloaded.
        normalisation: the normalisation of recipes that normalise.
    """

    name: str
    title: str
    licence: str
    splits: tuple[str, ...] | None
    rotations: bool
    image_shape: Callable[[DataSettings], tuple[int, int, int]]
    counts: Callable[[DataSettings], SplitCounts | None]
    prepared_as: Callable[[DataSettings], str]
    make: Callable[[ImageRequest], MadeImages]
    split_classes: Callable[[DataSettings, Sequence[str]], Classes]
    found: Callable[[DataSettings, Path | None], str | None]
    what_lies: Callable[[Path | None], str] = lambda data_root: "nothing is needed"
    inspect: Callable[[DataSettings, Path | None, Advance], Inspection | None] = lambda data, data_root, progress: None
    state: Callable[[DataSettings, Path | None], SourceState | None] = lambda data, data_root: None
    downloadable: bool = True
    choices: Mapping[str, object] = field(default_factory=dict)
    normalisation: Normalisation | None = None


def data_set_problem(entry: object) -> str | None:
    """Explain why an object is no valid entry of the catalogue of data sets; None if it is valid."""
    return None if isinstance(entry, DataSet) else f"it must be a {DataSet.__module__}.DataSet"
