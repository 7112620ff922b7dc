"""Data sets by name: prepared once, opened as three class splits.

Only opening images imports torch: commands that merely locate them start without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fsl_core.catalogue import Catalogue
from fsl_core.datasets.cifar_fs import CIFAR_FS
from fsl_core.datasets.data_set import DataSet, ImageRequest, Normalisation, data_set_problem
from fsl_core.datasets.folder_images import FOLDER_IMAGES
from fsl_core.datasets.glyphs import GLYPHS
from fsl_core.datasets.mini_imagenet import MINI_IMAGENET
from fsl_core.datasets.omniglot import OMNIGLOT
from fsl_core.errors import DataCorruptError
from fsl_core.listeners import Advance, Notice
from fsl_core.recipe.data_settings import DataSettings

if TYPE_CHECKING:
    from fsl_core.datasets.image_bank import ImageBank
    from fsl_core.datasets.prepared_images import PreparedImages


@dataclass(frozen=True, eq=False)
class SplitDataset:
    """A data set cut into disjoint class splits.

    ``digest`` is the SHA-256 of the images, the classes of each split and, where images are normalised or inverted, how.
    ``check_unchanged`` raises DataChangedError if the image file was written to after it was verified.
    """

    name: str
    split: str
    meta_train: ImageBank
    meta_validation: ImageBank
    meta_test: ImageBank
    digest: str
    check_unchanged: Callable[[], None] = lambda: None


DATASETS: Catalogue[DataSet] = Catalogue(
    "fsl.datasets", built_in=(OMNIGLOT, MINI_IMAGENET, CIFAR_FS, FOLDER_IMAGES, GLYPHS), problem=data_set_problem
)
"""Every data set by its name: those of this project, and those of plug-ins."""


def is_available(data: DataSettings, *, data_root: Path | None, cache_root: Path) -> bool:
    """Return whether the images are already prepared or can be prepared offline."""
    return prepared_folder(data, cache_root).exists() or DATASETS[data.dataset].found(data, data_root) is not None


def prepared_folder(data: DataSettings, cache_root: Path) -> Path:
    """The folder of a data set's prepared images; several settings may share one."""
    return cache_root / DATASETS[data.dataset].prepared_as(data)


def prepared_once(every: Iterable[DataSettings]) -> tuple[DataSettings, ...]:
    """One of the settings (the first) for each folder of prepared images, sorted by folder name."""
    first: dict[str, DataSettings] = {}
    for data in every:
        first.setdefault(DATASETS[data.dataset].prepared_as(data), data)
    return tuple(first[name] for name in sorted(first))


def prepare(
    data: DataSettings,
    *,
    data_root: Path | None,
    cache_root: Path,
    notice: Notice = lambda message: None,
    progress: Advance = lambda done, total: None,
) -> PreparedImages:
    """Open the prepared images of a data set, preparing them first if needed; split and rotations do not matter.

    ``progress`` receives the number of images read and the total, where reading takes long.

    Raises:
        DataMissingError: if the files are absent and cannot be fetched.
        DataCorruptError: if they are damaged or incomplete.
    """
    from fsl_core.datasets.preparation import open_prepared

    request = ImageRequest(data=data, data_root=data_root, cache_root=cache_root, notice=notice, progress=progress)
    source = DATASETS[data.dataset]
    state = source.state(data, data_root)
    prepared = open_prepared(prepared_folder(data, cache_root), partial(source.make, request), notice=notice, state=state)
    if state is None and prepared.state is not None:
        notice(f"{source.title} {data.split!r} are absent: the images that were prepared from them earlier are used")
    return prepared


def open_dataset(
    data: DataSettings,
    *,
    data_root: Path | None,
    cache_root: Path,
    notice: Notice = lambda message: None,
    progress: Advance = lambda done, total: None,
) -> SplitDataset:
    """The three class splits of a data set; see :func:`prepare` for what it raises."""
    prepared = prepare(data, data_root=data_root, cache_root=cache_root, notice=notice, progress=progress)
    source = DATASETS[data.dataset]
    parts = source.split_classes(data, prepared.class_names) if prepared.state is None else prepared.state.splits
    facts = [prepared.digest, data.rotations, sorted((part, list(names)) for part, names in parts.items())]
    normalisation = _normalisation(source, data)
    document = json.dumps(facts if normalisation is None else [*facts, normalisation])
    return SplitDataset(
        name=data.dataset,
        split=data.split,
        digest=hashlib.sha256(document.encode()).hexdigest(),
        check_unchanged=prepared.check_unchanged,
        **{part: _bank(prepared, names, data.rotations, normalisation) for part, names in parts.items()},
    )


def _normalisation(source: DataSet, data: DataSettings) -> Normalisation | None:
    """The normalisation of gathered images; None if they stay in 0..1."""
    usual = source.normalisation if data.normalise else None
    if not data.black_on_white:
        return usual
    channels = source.image_shape(data)[0]
    means, deviations = ((0.0,) * channels, (1.0,) * channels) if usual is None else usual
    # (1 - x - mean) / deviation, of an image whose pixel x is white on black
    return tuple(1 - mean for mean in means), tuple(-deviation for deviation in deviations)


def _bank(
    prepared: PreparedImages,
    names: Sequence[str],
    rotations: bool,
    normalisation: Normalisation | None,
) -> ImageBank:
    import torch

    from fsl_core.datasets.image_bank import ImageBank

    where = {name: index for index, name in enumerate(prepared.class_names)}
    missing = [name for name in names if name not in where]
    if missing:
        raise DataCorruptError(f"the split lists classes that have no images: {', '.join(missing[:5])}")
    chosen = torch.tensor([where[name] for name in names])
    sizes = torch.tensor(prepared.sizes)
    starts = sizes.cumsum(0) - sizes
    mean, std = (None, None) if normalisation is None else map(torch.tensor, normalisation)
    return ImageBank(prepared.images, starts[chosen], sizes[chosen], tuple(names), rotations, mean, std)
