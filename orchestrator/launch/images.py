"""The images that a sweep needs: whether they are here, and what makes them ready."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fsl_core.errors import DataError, DataMissingError
from fsl_core.recipe.data_settings import DataSettings, data_sets, usual_data
from orchestrator.counted import counted
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.places import Places
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan
from orchestrator.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset

_PREPARED_BY = ("resize", "image_size", "channels")
"""The choices that prepared images depend on."""


def images_of(spec: SweepSpec) -> tuple[DataSettings, ...]:
    """The images that the sweep needs: one of the settings that share what is prepared."""
    from fsl_core.datasets.catalogue import prepared_once

    return prepared_once(cell.data() for cell in spec.cells)


def images_are_here(spec: SweepSpec, places: Places) -> bool:
    """Whether all of the sweep's images are on this machine, so that no network is needed."""
    return not missing_images(spec, places)


def missing_images(spec: SweepSpec, places: Places) -> tuple[DataSettings, ...]:
    """Those of the sweep's images that are not on this machine."""
    from fsl_core.datasets.catalogue import is_available

    return tuple(
        data for data in images_of(spec) if not is_available(data, data_root=places.data_root, cache_root=places.cache_root)
    )


def unprepared_images(spec: SweepSpec, places: Places) -> tuple[DataSettings, ...]:
    """Those of the sweep's images that are not prepared."""
    from fsl_core.datasets.catalogue import prepared_folder

    return tuple(data for data in images_of(spec) if not prepared_folder(data, places.cache_root).exists())


def can_have_images(spec: SweepSpec, places: Places, callbacks: Callbacks) -> bool:
    """Prepare the sweep's images, downloads included, and say whether that was possible.

    Raises:
        DataCorruptError: files are damaged, which is no reason to take another data set.
    """
    from fsl_core.datasets.catalogue import prepare

    try:
        for data in images_of(spec):
            with callbacks.progress("images read") as progress:
                prepare(
                    data,
                    data_root=places.data_root,
                    cache_root=places.cache_root,
                    notice=callbacks.notice,
                    progress=progress,
                )
    except DataMissingError as error:
        callbacks.warn(str(error))
        return False
    return True


def prepare_images(plan: Plan, records: Mapping[str, TrialRecord], places: Places, callbacks: Callbacks) -> None:
    """Find, download or prepare every data set of a plan once, and verify every byte of it, before any trial asks for it.

    A warning counts the trials that are finished and saw other images than these, and own images that are in two splits.

    Raises:
        DataError: if one cannot be had; the message says what to do.
        EpisodeError: if one has too few classes or images for some trial.
    """
    from fsl_core.datasets.catalogue import prepared_folder
    from fsl_core.episodes.feasibility import check_feasible

    for folder in dict.fromkeys(prepared_folder(trial.recipe.data, places.cache_root) for trial in plan.trials):
        if folder.exists():
            callbacks.notice(f"verifying the images in {folder}")
    for data in dict.fromkeys(trial.recipe.data for trial in plan.trials):
        dataset = open_images(data, places, callbacks)
        _warn_of_other_images(plan, records, data, dataset, callbacks=callbacks)
        _warn_of_shared_images(data, dataset, callbacks)
        for trial in plan.trials:
            if trial.recipe.data == data:
                check_feasible(trial.recipe, trial.evaluations, dataset)


def check_own_images(plan: Plan, records: Mapping[str, TrialRecord], places: Places, callbacks: Callbacks) -> None:
    """Warn of finished trials that saw other images, of data sets that their user may change. No other images are opened.

    Nothing is to be computed where this is called, so that images which cannot be opened are only a warning.
    """
    from fsl_core.datasets.catalogue import DATASETS

    for data in dict.fromkeys(trial.recipe.data for trial in plan.trials):
        try:
            if DATASETS[data.dataset].state(data, places.data_root) is not None:
                _warn_of_other_images(plan, records, data, open_images(data, places, callbacks), callbacks=callbacks)
        except DataError as error:
            callbacks.warn(str(error))


def open_images(data: DataSettings, places: Places, callbacks: Callbacks) -> SplitDataset:
    """Find, download or prepare a data set, and verify every byte of it."""
    from fsl_core.datasets.catalogue import open_dataset

    with callbacks.progress("images read") as progress:
        return open_dataset(
            data,
            data_root=places.data_root,
            cache_root=places.cache_root,
            notice=callbacks.notice,
            progress=progress,
        )


def _warn_of_other_images(
    plan: Plan, records: Mapping[str, TrialRecord], data: DataSettings, dataset: SplitDataset, *, callbacks: Callbacks
) -> None:
    """Say how many finished trials saw other images of these settings than the dataset's."""
    finished = [records[trial.fingerprint] for trial in plan.trials if trial.recipe.data == data and trial.fingerprint in records]
    others = sum(record.result is not None and record.result.data_digest != dataset.digest for record in finished)
    if others:
        callbacks.warn(
            f"{counted(others, 'finished trial')} saw other images of {images_text(data)} than those that are here now: "
            "the table keeps the numbers on the earlier images"
        )


def _warn_of_shared_images(data: DataSettings, dataset: SplitDataset, callbacks: Callbacks) -> None:
    """Say that a user's own images have one picture in two splits. Those of the other data sets are known."""
    from fsl_core.datasets.duplicates import identical_images

    if data_sets()[data.dataset].splits is not None:
        return
    shared = identical_images(dataset).across
    if shared:
        callbacks.warn(
            f"{images_text(data)}: {counted(len(shared), 'image')} in two splits, such as {shared[0].first} and {shared[0].second}. "
            "Scores on images that were trained on are too good; `fsl data check` lists them"
        )


def images_text(data: DataSettings) -> str:
    """A data set's name, and how its images are prepared where that is not the usual way: ``omniglot (resize nearest)``."""
    unusual = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in unusual_preparation(data).items())
    return f"{data.dataset} ({unusual})" if unusual else data.dataset


def unusual_preparation(data: DataSettings) -> dict[str, object]:
    """The choices that prepared images depend on, where they are not the usual ones; and the folder of a user's own images."""
    usual = usual_data(data.dataset)
    named = {} if data_sets()[data.dataset].splits else {"split": data.split}
    return named | {name: getattr(data, name) for name in _PREPARED_BY if getattr(data, name) != getattr(usual, name)}


def prepare_command(data: DataSettings) -> str:
    """The command that prepares such images."""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in unusual_preparation(data).items()]
    return " ".join(["fsl data prepare", data.dataset, *options])


def fallback_text(spec: SweepSpec, places: Places) -> str:
    """A warning, in several lines, that a sweep's fallback data set takes the place of its own."""

    lacking = missing_images(spec, places) or images_of(spec)
    wanted = ", ".join(map(images_text, lacking))
    where = f"not under {places.data_root}" if places.data_root else "no --data-root and no FSL_DATA_ROOT"
    lines = (
        f"{wanted.upper()} IS NOT HERE ({where}).",
        f"EVERY NUMBER BELOW IS OF '{spec.fallback_dataset}', A PROCEDURAL DATA SET: NOT OF {wanted.upper()}, "
        "AND NOT COMPARABLE WITH A PAPER.",
    )
    rule = "!" * max(map(len, lines))
    return "\n".join((rule, *lines, rule, *_found(lacking, places)))


def _found(lacking: Sequence[DataSettings], places: Places) -> list[str]:
    """What lies under the data root where each data set was looked for."""
    from fsl_core.datasets.catalogue import DATASETS

    names = dict.fromkeys(data.dataset for data in lacking)
    return [f"{name}, found: {DATASETS[name].what_lies(places.data_root)}" for name in names if places.data_root]
