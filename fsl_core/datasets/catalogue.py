"""From the name of a data set to its three class splits, prepared and open.

torch is imported where images are opened alone: where they lie, and whether they are there, is asked by commands that open none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.datasets import glyphs, mini_imagenet, mini_imagenet_source, omniglot, omniglot_source, omniglot_split
from fsl_core.datasets.inspection import Inspection, Progress
from fsl_core.errors import DataCorruptError
from fsl_core.recipe.data_settings import DataSettings

if TYPE_CHECKING:
    from fsl_core.datasets.image_bank import ImageBank
    from fsl_core.datasets.preparation import MadeImages
    from fsl_core.datasets.prepared_images import PreparedImages

Announce = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class SplitDataset:
    """A data set cut into disjoint class splits.

    ``digest`` is the SHA-256 of its images, of who belongs to which split, and of how they are normalised where they are.
    ``check_unchanged`` raises DataChangedError if the images' file was written to since it was verified.
    """

    name: str
    split: str
    meta_train: ImageBank
    meta_validation: ImageBank
    meta_test: ImageBank
    digest: str
    check_unchanged: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class DatasetSource:
    """Where a data set comes from: the folder it is prepared in, how its images are made, and how its classes are split.

    The folder's name, ``prepared_as``, and the images in it may depend on the settings. ``normalisation``: the mean and the deviation
    of each channel, in 0..1, for those who want it. ``found`` names the source that would be read, None where there is none;
    ``what_lies`` says what is there in its place. ``inspect`` looks at the source alone.
    """

    prepared_as: Callable[[DataSettings], str]
    make: Callable[[DataSettings, Path | None, Path, Announce, Progress], MadeImages]
    split_classes: Callable[[str, Sequence[str]], Mapping[str, Sequence[str]]]
    found: Callable[[Path | None], str | None]
    downloadable: bool = True
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    what_lies: Callable[[Path | None], str] = lambda data_root: "nothing is needed"
    inspect: Callable[[Path | None, Progress], Inspection | None] = lambda data_root, progress: None


def _make_omniglot(
    data: DataSettings, data_root: Path | None, cache_root: Path, announce: Announce, progress: Progress
) -> MadeImages:
    source = omniglot_source.find_source(data_root)
    if source is None:
        announce(f"Omniglot is not here as a whole (found: {omniglot_source.FOLDER.what_lies(data_root)})")
        source = omniglot_source.fetch_source(cache_root / "downloads", data_root=data_root, announce=announce)
    announce(f"reading {_halves(source)}")
    return omniglot.read_images(source, resize=data.resize or "antialiased", progress=progress)


def _halves(source: omniglot_source.Source) -> str:
    return " and ".join(map(str, source.values()))


def _found_omniglot(data_root: Path | None) -> str | None:
    source = omniglot_source.find_source(data_root)
    return None if source is None else _halves(source)


def _inspect_omniglot(data_root: Path | None, progress: Progress) -> Inspection | None:
    source = omniglot_source.find_source(data_root)
    return None if source is None else omniglot.inspect(source, progress=progress)


def _make_mini_imagenet(
    data: DataSettings, data_root: Path | None, cache_root: Path, announce: Announce, progress: Progress
) -> MadeImages:
    source = mini_imagenet_source.find_source(data_root)
    if source is None:
        raise mini_imagenet_source.missing(data_root)
    announce(f"reading {source}")
    return mini_imagenet.read_images(source, progress=progress)


def _found_mini_imagenet(data_root: Path | None) -> str | None:
    source = mini_imagenet_source.find_source(data_root)
    return None if source is None else str(source)


def _inspect_mini_imagenet(data_root: Path | None, progress: Progress) -> Inspection | None:
    source = mini_imagenet_source.find_source(data_root)
    return None if source is None else mini_imagenet.inspect(source, progress=progress)


DATASETS: dict[str, DatasetSource] = {
    "omniglot": DatasetSource(
        prepared_as=lambda data: "omniglot-28" if data.resize == "antialiased" else f"omniglot-28-{data.resize}",
        make=_make_omniglot,
        split_classes=lambda split, names: omniglot_split.split_classes(split, names, omniglot_split.evaluation_alphabets()),
        found=_found_omniglot,
        what_lies=omniglot_source.FOLDER.what_lies,
        inspect=_inspect_omniglot,
    ),
    "mini_imagenet": DatasetSource(
        prepared_as=lambda data: "mini_imagenet-84",
        make=_make_mini_imagenet,
        split_classes=lambda split, names: mini_imagenet.split_classes(),
        found=_found_mini_imagenet,
        what_lies=mini_imagenet_source.FOLDER.what_lies,
        downloadable=False,
        normalisation=(mini_imagenet.CHANNEL_MEAN, mini_imagenet.CHANNEL_STD),
        inspect=_inspect_mini_imagenet,
    ),
    "glyphs": DatasetSource(
        prepared_as=lambda data: "glyphs-28",
        make=lambda data, data_root, cache_root, announce, progress: glyphs.make_glyphs(),
        split_classes=lambda split, names: glyphs.split_classes(names),
        found=lambda data_root: "invented by a program",
    ),
}
"""Every data set, by the name that recipes use."""


def is_available(data: DataSettings, *, data_root: Path | None, cache_root: Path) -> bool:
    """Whether the images of a data set are prepared already or can be prepared without any network."""
    return prepared_folder(data, cache_root).exists() or DATASETS[data.dataset].found(data_root) is not None


def prepared_folder(data: DataSettings, cache_root: Path) -> Path:
    """Where the images of a data set lie once they are prepared: several settings may share a folder."""
    return cache_root / DATASETS[data.dataset].prepared_as(data)


def prepared_once(every: Iterable[DataSettings]) -> tuple[DataSettings, ...]:
    """The first of those settings whose images are prepared in the same folder, in the order of the folders' names."""
    first: dict[str, DataSettings] = {}
    for data in every:
        first.setdefault(DATASETS[data.dataset].prepared_as(data), data)
    return tuple(first[name] for name in sorted(first))


def prepare(
    data: DataSettings,
    *,
    data_root: Path | None,
    cache_root: Path,
    announce: Announce = lambda message: None,
    progress: Progress = lambda done, total: None,
) -> PreparedImages:
    """Open a data set's prepared images, after preparing them where they are not; its split and its rotations do not matter.

    ``progress`` is told how many images are read and of how many, where that takes long.

    Raises:
        DataMissingError: if the files are absent and cannot be fetched.
        DataCorruptError: if they are damaged or incomplete.
    """
    from fsl_core.datasets.preparation import open_prepared

    make = partial(DATASETS[data.dataset].make, data, data_root, cache_root, announce, progress)
    return open_prepared(prepared_folder(data, cache_root), make, announce=announce)


def open_dataset(
    data: DataSettings,
    *,
    data_root: Path | None,
    cache_root: Path,
    announce: Announce = lambda message: None,
    progress: Progress = lambda done, total: None,
) -> SplitDataset:
    """The three class splits of a data set; see :func:`prepare` for what it raises."""
    prepared = prepare(data, data_root=data_root, cache_root=cache_root, announce=announce, progress=progress)
    source = DATASETS[data.dataset]
    parts = source.split_classes(data.split, prepared.class_names)
    facts = [prepared.digest, data.rotations, sorted((part, list(names)) for part, names in parts.items())]
    normalisation = source.normalisation if data.normalise else None
    document = json.dumps(facts if normalisation is None else [*facts, normalisation])
    return SplitDataset(
        name=data.dataset,
        split=data.split,
        digest=hashlib.sha256(document.encode()).hexdigest(),
        check_unchanged=prepared.check_unchanged,
        **{part: _bank(prepared, names, data.rotations, normalisation) for part, names in parts.items()},
    )


def _bank(
    prepared: PreparedImages,
    names: Sequence[str],
    rotations: bool,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None,
) -> ImageBank:
    import torch

    from fsl_core.datasets.image_bank import ImageBank

    where = {name: index for index, name in enumerate(prepared.class_names)}
    missing = [name for name in names if name not in where]
    if missing:
        raise DataCorruptError(f"the split lists classes that the images lack: {', '.join(missing[:5])}")
    chosen = torch.tensor([where[name] for name in names])
    sizes = torch.tensor(prepared.sizes)
    starts = sizes.cumsum(0) - sizes
    mean, std = (None, None) if normalisation is None else map(torch.tensor, normalisation)
    return ImageBank(prepared.images, starts[chosen], sizes[chosen], tuple(names), rotations, mean, std)
