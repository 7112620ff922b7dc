"""Checks the images that are on this machine: which of them, in which order, and what stops the check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from fsl_core.errors import DataCorruptError, DataMissingError
from fsl_core.recipe.data_settings import DataSettings, Resize, data_sets
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.images import images_text, open_images, prepare_command
from orchestrator.launch.places import Places

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset
    from fsl_core.datasets.inspection import Inspection


@dataclass(frozen=True, kw_only=True)
class CheckedImages:
    """What a check of a data set found.

    ``source`` says where its source files lie, ``inspection`` what they hold; each is None where there are none. ``splits`` are the
    prepared images of each split, empty where the source has faults.
    """

    source: str | None
    inspection: Inspection | None
    splits: tuple[tuple[DataSettings, SplitDataset], ...]


def check_images(asked: DataSettings, places: Places, callbacks: Callbacks, *, any_resize: bool) -> CheckedImages:
    """Check every byte of a data set that is already here; nothing is downloaded.

    The check ends at the source where that has faults. With ``any_resize`` the images are checked however they were resized.

    Raises:
        DataMissingError: there is neither a source nor a prepared copy of it.
        DataCorruptError: prepared images are damaged.
    """
    from fsl_core.datasets.catalogue import DATASETS

    every, described = images_to_check(asked, places, any_resize=any_resize), DATASETS[asked.dataset]
    for data in every:
        _require(data, places)
    with callbacks.progress("source pictures looked at") as progress:
        inspection = described.inspect(every[0], places.data_root, progress)
    faulty = inspection is not None and bool(inspection.faults)
    for data in () if faulty else every:
        _check_prepared(data, places)  # before it is opened, which would replace what is damaged
    opened = () if faulty else tuple(pair for data in every for pair in open_splits(data, places, callbacks))
    return CheckedImages(source=described.found(every[0], places.data_root), inspection=inspection, splits=opened)


def images_to_check(asked: DataSettings, places: Places, *, any_resize: bool) -> Sequence[DataSettings]:
    """The images that were asked for; with ``any_resize`` all that are prepared, and those asked for where they could be."""
    from fsl_core.datasets.catalogue import is_available, prepared_folder

    if not any_resize or asked.resize is None:
        return [asked]
    others = [dataclasses.replace(asked, resize=other) for other in get_args(Resize) if other != asked.resize]
    prepared = [data for data in others if prepared_folder(data, places.cache_root).exists()]
    usual = is_available(asked, data_root=places.data_root, cache_root=places.cache_root) or not prepared
    return [asked, *prepared] if usual else prepared


def open_splits(data: DataSettings, places: Places, callbacks: Callbacks) -> Iterator[tuple[DataSettings, SplitDataset]]:
    """Find, download or prepare every split of a data set, and verify every byte of it."""
    for split in data_sets()[data.dataset].splits or (data.split,):
        settings = dataclasses.replace(data, split=split)
        yield settings, open_images(settings, places, callbacks)


def _require(data: DataSettings, places: Places) -> None:
    from fsl_core.datasets.catalogue import DATASETS, is_available

    source = DATASETS[data.dataset]
    # One that cannot be downloaded says itself what to do when it is opened.
    if source.downloadable and not is_available(data, data_root=places.data_root, cache_root=places.cache_root):
        where = f"under {places.data_root}" if places.data_root else "(no --data-root, FSL_DATA_ROOT is not set)"
        lies = source.what_lies(places.data_root)
        raise DataMissingError(
            f"{images_text(data)} is not here {where} (found: {lies}); `{prepare_command(data)}` fetches it where there is a network"
        )


def _check_prepared(data: DataSettings, places: Places) -> None:
    from fsl_core.datasets.catalogue import prepared_folder
    from fsl_core.datasets.prepared_images import read_prepared

    folder = prepared_folder(data, places.cache_root)
    if not folder.exists():
        return
    try:
        read_prepared(folder, in_full=True)
    except DataCorruptError as error:
        raise DataCorruptError(f"{error}; `{prepare_command(data)}` sets it aside and prepares it again") from error
