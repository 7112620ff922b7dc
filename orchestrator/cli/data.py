"""``fsl data``: fetch and prepare the images, and see whether they are what they should be."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from fsl_core.errors import DataCorruptError
from fsl_core.recipe.data_settings import DataSettings, Resize, data_sets
from fsl_core.written import written
from orchestrator.cli.exit_codes import ExitCode, Failure
from orchestrator.cli.image_options import Asked, asks_for_images, name_argument, settings_of
from orchestrator.cli.image_words import prepare_command
from orchestrator.cli.options import json_option, resolved_places
from orchestrator.cli.progress_bar import shown_progress
from orchestrator.counted import counted
from orchestrator.launch.images import images_text
from orchestrator.launch.places import Places

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset
    from fsl_core.datasets.inspection import Inspection

PARTS = ("meta_train", "meta_validation", "meta_test")


@click.group()
def data() -> None:
    """The images that sweeps train on."""


@data.command()
@name_argument
@resolved_places("data_root", "runs_root")
@asks_for_images
@json_option
def prepare(name: str, places: Places, as_json: bool, **asked: Any) -> None:
    """Find or download a data set and prepare every split of it, once for all trials of this machine."""
    from fsl_core.datasets.catalogue import prepared_folder

    places.check_writable()
    announced: list[str] = []
    data = settings_of(name, asked, places)
    opened = list(_opened(data, places, announced))
    if not announced:
        click.echo(f"prepared earlier, in {prepared_folder(data, places.cache_root)}: verified, no source was read", err=True)
    _show(opened, as_json)


@data.command()
@name_argument
@resolved_places("data_root", "runs_root")
@asks_for_images
@json_option
def check(name: str, places: Places, as_json: bool, **asked: Any) -> None:
    """Check a data set that is already here, every byte of it; nothing is downloaded. Exit code 2: it is absent or damaged.

    Without --resize: however its pictures were resized.
    """
    from fsl_core.datasets.catalogue import DATASETS

    for data in (every := _here(name, asked, places)):
        _require_images(data, places)
    with shown_progress("source pictures looked at") as progress:
        inspection = DATASETS[name].inspect(every[0], places.data_root, progress)
    if inspection is not None and inspection.faults:
        _fail_on_faults(name, inspection, as_json)
    for data in every:
        _check_prepared(data, places)  # before it is opened, which would replace what is damaged
    opened = [pair for data in every for pair in _opened(data, places, [])]
    found = DATASETS[name].found(every[0], places.data_root)
    if found is None:
        click.echo(f"no source files of {name} are here: only the images prepared from them earlier were checked", err=True)
    rows = [_checked(data, dataset, inspection, found=found) for data, dataset in opened]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(_checked_text(row))
        _warn_of_identical_images(row)


def _here(name: str, asked_for: Asked, places: Places) -> list[DataSettings]:
    """What to check: the images that were asked for, else all that are prepared, and the usual ones where they could be."""
    from fsl_core.datasets.catalogue import is_available, prepared_folder

    asked = settings_of(name, asked_for, places)
    if asked_for["resize"] is not None or asked.resize is None:
        return [asked]
    others = [dataclasses.replace(asked, resize=other) for other in typing.get_args(Resize) if other != asked.resize]
    prepared = [data for data in others if prepared_folder(data, places.cache_root).exists()]
    usual = is_available(asked, data_root=places.data_root, cache_root=places.cache_root) or not prepared
    return [asked, *prepared] if usual else prepared


def _require_images(data: DataSettings, places: Places) -> None:
    from fsl_core.datasets.catalogue import DATASETS, is_available

    source = DATASETS[data.dataset]
    # One that cannot be downloaded says itself what to do when it is opened.
    if source.downloadable and not is_available(data, data_root=places.data_root, cache_root=places.cache_root):
        where = f"under {places.data_root}" if places.data_root else "(no --data-root, FSL_DATA_ROOT is not set)"
        lies = source.what_lies(places.data_root)
        raise Failure(
            f"{images_text(data)} is not here {where} (found: {lies}); `{prepare_command(data)}` fetches it where there is a network",
            ExitCode.USAGE,
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
        raise Failure(f"{error}; `{prepare_command(data)}` sets it aside and prepares it again", ExitCode.USAGE) from error


def _fail_on_faults(name: str, inspection: Inspection, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{"dataset": name, "source": _source(inspection)}], indent=2))
    for fault in inspection.faults:
        click.echo(f"  {fault}", err=True)
    raise Failure(f"the source of {name} has {counted(len(inspection.faults), 'fault')}, listed above", ExitCode.USAGE)


def _checked(data: DataSettings, dataset: SplitDataset, inspection: Inspection | None, *, found: str | None) -> dict[str, Any]:
    """Everything that ``fsl data check`` says of one split of a data set."""
    from fsl_core.datasets.duplicates import identical_images

    identical = identical_images(dataset)
    pictures = {"sizes": None, "grey": None, "faults": []} if inspection is None else _source(inspection)
    return {
        **_described(data, dataset),
        "images_in_each_class": _usual_and_exceptions(dataset),
        "source": {"read_from": found, **pictures},
        "grey_images": _grey_images(dataset),
        "identical_in_two_splits": [[pair.first, pair.second] for pair in identical.across],
        "identical_within_a_split": [[pair.first, pair.second] for pair in identical.within],
    }


def _source(inspection: Inspection) -> dict[str, Any]:
    sizes = {f"{width}x{height}": count for (width, height), count in sorted(inspection.sizes.items())}
    return {"sizes": sizes, "grey": None if inspection.grey is None else list(inspection.grey), "faults": list(inspection.faults)}


def _usual_and_exceptions(dataset: SplitDataset) -> dict[str, Any]:
    """The most frequent number of images in a class, and the classes that have another."""
    banks = [getattr(dataset, part) for part in PARTS]
    counts = {name: count for bank in banks for name, count in zip(bank.class_names, bank.sizes.tolist(), strict=True)}
    usual = Counter(counts.values()).most_common(1)[0][0]
    return {"usual": usual, "exceptions": {name: count for name, count in counts.items() if count != usual}}


def _grey_images(dataset: SplitDataset) -> int | None:
    """How many prepared images have R = G = B everywhere; None where images have one channel."""
    if dataset.meta_train.images.shape[1] == 1:
        return None
    banks = [getattr(dataset, part) for part in PARTS]
    runs = [bank.images[start : start + size] for bank in banks for start, size in zip(bank.starts, bank.sizes, strict=True)]
    return sum(int((run == run[:, :1]).flatten(1).all(1).sum()) for run in runs)


def _checked_text(row: dict[str, Any]) -> str:
    each, sizes = row["images_in_each_class"], row["source"]["sizes"]
    except_for = ", ".join(f"{name} ({count})" for name, count in each["exceptions"].items())
    lines = [
        _described_text(row),
        f"  {each['usual']} images in each class" + (f" but {except_for}" if except_for else ""),
        f"  source: {row['source']['read_from'] or 'none here'}",
        "  source pictures: " + (", ".join(f"{count} of {size}" for size, count in sizes.items()) if sizes else "none here"),
        "  grey images (R = G = B): "
        + ("does not apply, one channel" if row["grey_images"] is None else str(row["grey_images"])),
    ]
    return "\n".join(lines)


def _warn_of_identical_images(row: dict[str, Any]) -> None:
    for key, where in (("identical_in_two_splits", "in two splits"), ("identical_within_a_split", "within a split")):
        click.echo(f"{_which(row)}: {len(row[key])} identical images {where}", err=True)
        for first, second in row[key]:
            click.echo(f"  {first} = {second}", err=True)


def _opened(data: DataSettings, places: Places, announced: list[str]) -> Iterator[tuple[DataSettings, SplitDataset]]:
    """Every split; ``announced`` gets what is said meanwhile, which is nothing where the images are there and intact."""
    from fsl_core.datasets.catalogue import open_dataset

    def notice(message: str) -> None:
        announced.append(message)
        click.echo(message, err=True)

    for split in data_sets()[data.dataset].splits or (data.split,):
        settings = dataclasses.replace(data, split=split)
        with shown_progress("images read") as progress:
            dataset = open_dataset(
                settings,
                data_root=places.data_root,
                cache_root=places.cache_root,
                notice=notice,
                progress=progress,
            )
        yield settings, dataset


def _show(opened: Iterable[tuple[DataSettings, SplitDataset]], as_json: bool) -> None:
    rows = [_described(data, dataset) for data, dataset in opened]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(_described_text(row))


def _described_text(row: dict[str, Any]) -> str:
    lines = [f"{_which(row)}, sha256 {row['digest']}"]
    for part in PARTS:
        lines.append(f"  {part:<16}{row[part]['base_classes']:>5} classes, {row[part]['images']:>6} images")
    return "\n".join(lines)


def _which(row: dict[str, Any]) -> str:
    choices = [f"{key} {written(row[key])}" for key in data_sets()[row["dataset"]].choices]
    return ", ".join([row["dataset"], f"split {row['split']}", *choices])


def _described(data: DataSettings, dataset: SplitDataset) -> dict[str, Any]:
    parts = {name: getattr(dataset, name) for name in PARTS}
    counts = {name: {"base_classes": len(bank.class_names), "images": int(bank.sizes.sum())} for name, bank in parts.items()}
    choices = {key: getattr(data, key) for key in data_sets()[data.dataset].choices}
    return {"dataset": dataset.name, "split": dataset.split, **choices, "digest": dataset.digest, **counts}
