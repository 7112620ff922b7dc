"""What the house asks of a data set: one value that describes it. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.datasets.inspection import Inspection, Progress

if TYPE_CHECKING:
    from fsl_core.datasets.preparation import MadeImages
    from fsl_core.recipe.data_settings import DataSettings

Announce = Callable[[str], None]
"""Takes a sentence for people."""
Classes = Mapping[str, Sequence[str]]
"""The class names of ``meta_train``, ``meta_validation`` and ``meta_test``."""


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """How many classes ``meta_train``, ``meta_validation`` and ``meta_test`` have, and the images that each class has at the least."""

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
    """What making the images of a data set is given.

    ``cache_root``: where downloads may be kept; ``announce`` takes sentences for people, ``progress`` how many images are read.
    """

    data: DataSettings
    data_root: Path | None
    cache_root: Path
    announce: Announce
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set, as data and functions that need no torch.

    Attributes:
        name: what sweep files call it.
        title: what tables call it.
        licence: under which terms its images may be used.
        splits: the names of its class splits, the usual one first; None where the user names them.
        rotations: whether a class turned by a quarter is a new class.
        choices: the fields of ``DataSettings`` that only some data sets have and this one has, each with its default.
        image_shape: ``(C, H, W)`` of every image.
        counts: what its splits hold, known without an image; None where only the images tell.
        prepared_as: the name of the folder of its prepared images.
        make: its images, uint8 ``[N, C, H, W]`` class by class, the names of the classes, and their sizes.
        split_classes: the class names of each part of a split, of the names that were prepared.
        found: the source that would be read, in words; None where there is none.
        what_lies: what lies in the place of a source, in words.
        inspect: a look at the source alone; None where there is none.
        state: what a source holds that its user may change; None where it never changes, or is not there.
        downloadable: whether it can be fetched.
        normalisation: mean and deviation of each channel, in 0..1, for those who want it.
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
    inspect: Callable[[DataSettings, Path | None, Progress], Inspection | None] = lambda data, data_root, progress: None
    state: Callable[[DataSettings, Path | None], SourceState | None] = lambda data, data_root: None
    downloadable: bool = True
    choices: Mapping[str, object] = field(default_factory=dict)
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def data_set_problem(entry: object) -> str | None:
    """What is wrong with an object as an entry of the catalogue of data sets; None where it can be one."""
    return None if isinstance(entry, DataSet) else f"it must be a {DataSet.__module__}.DataSet"
