"""``fsl data``: fetch and prepare the images, and see whether they are what they should be."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from fsl_core.datasets.data_set import PARTS
from fsl_core.recipe.data_settings import DataSettings, data_sets
from fsl_core.written import written
from orchestrator.cli.exit_codes import ExitCode, Failure
from orchestrator.cli.image_options import asks_for_images, name_argument, settings_of
from orchestrator.cli.options import echo_notice, json_option, resolved_places, stderr_callbacks
from orchestrator.counted import counted
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.places import Places

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset
    from fsl_core.datasets.inspection import Inspection
    from orchestrator.launch.image_check import CheckedImages

MOST_SIZES = 4
"""So many sizes of pictures are listed each."""


@click.group()
def data() -> None:
    """Prepare or check the images that sweeps train on."""


@data.command()
@name_argument
@resolved_places("data_root", "runs_root")
@asks_for_images
@json_option
def prepare(name: str, places: Places, as_json: bool, **asked: Any) -> None:
    """Prepare a data set that is here or can be downloaded.

    Every split of it is prepared once, for all trials of this machine.
    """
    from fsl_core.datasets.catalogue import prepared_folder
    from orchestrator.launch.image_check import open_splits

    places.check_writable()
    notices: list[str] = []
    data = settings_of(name, asked, places)
    opened = list(open_splits(data, places, _callbacks(notices)))
    if not notices:
        echo_notice(f"prepared earlier, in {prepared_folder(data, places.cache_root)}: verified, no source was read")
    _show(opened, as_json)


@data.command()
@name_argument
@resolved_places("data_root", "runs_root")
@asks_for_images
@json_option
def check(name: str, places: Places, as_json: bool, **asked: Any) -> None:
    """Check every byte of a data set that is already here.

    Nothing is downloaded. What is not prepared yet is prepared, and written to the runs folder. Exit code 2: it is absent or damaged.
    Without --resize Omniglot's drawings are checked however they were resized.
    """
    from orchestrator.launch.image_check import check_images

    data = settings_of(name, asked, places)
    checked = check_images(data, places, stderr_callbacks(), any_resize=asked["resize"] is None)
    if checked.inspection is not None and checked.inspection.faults:
        _fail_on_faults(name, checked.inspection, as_json)
    if checked.source is None:
        echo_notice(f"no source files of {name} are here: only the images prepared from them earlier were checked")
    rows = [_checked(data, dataset, checked) for data, dataset in checked.splits]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        for row in rows:
            click.echo(_checked_text(row))
            _warn_of_identical_images(row)
    _fail_on_shared_images(rows)


def _callbacks(notices: list[str]) -> Callbacks:
    """Those of every command, and ``notices`` keeps what is said: nothing where the images are there and intact."""

    def notice(message: str) -> None:
        notices.append(message)
        echo_notice(message)

    return dataclasses.replace(stderr_callbacks(), notice=notice)


def _fail_on_faults(name: str, inspection: Inspection, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([{"dataset": name, "source": _source(inspection)}], indent=2))
    for fault in inspection.faults:
        click.echo(f"  {fault}", err=True)
    raise Failure(f"the source of {name} has {counted(len(inspection.faults), 'fault')}, listed above", ExitCode.USAGE)


def _checked(data: DataSettings, dataset: SplitDataset, checked: CheckedImages) -> dict[str, Any]:
    """Everything that ``fsl data check`` says of one split of a data set."""
    from fsl_core.datasets.duplicates import identical_images
    from fsl_core.datasets.image_counts import grey_images, images_in_each_class

    identical, inspection = identical_images(dataset), checked.inspection
    pictures = {"sizes": None, "grey": None, "faults": []} if inspection is None else _source(inspection)
    return {
        **_described(data, dataset),
        "images_in_each_class": dataclasses.asdict(images_in_each_class(dataset)),
        "source": {"read_from": checked.source, **pictures},
        "grey_images": grey_images(dataset),
        "identical_in_two_splits": [[pair.first, pair.second] for pair in identical.across],
        "identical_within_a_split": [[pair.first, pair.second] for pair in identical.within],
    }


def _source(inspection: Inspection) -> dict[str, Any]:
    sizes = {f"{width}x{height}": count for (width, height), count in sorted(inspection.sizes.items())}
    return {"sizes": sizes, "grey": None if inspection.grey is None else list(inspection.grey), "faults": list(inspection.faults)}


def _checked_text(row: dict[str, Any]) -> str:
    each, sizes = row["images_in_each_class"], row["source"]["sizes"]
    except_for = ", ".join(f"{name} ({count})" for name, count in each["exceptions"].items())
    lines = [
        _described_text(row),
        f"  {each['usual']} images in each class" + (f" but {except_for}" if except_for else ""),
        f"  source: {row['source']['read_from'] or 'none here'}",
        "  source pictures: " + _sizes_text(sizes or {}),
        "  grey images (R = G = B): "
        + ("does not apply, one channel" if row["grey_images"] is None else str(row["grey_images"])),
    ]
    return "\n".join(lines)


def _sizes_text(sizes: Mapping[str, int]) -> str:
    """Such as ``120 of 84x84``; of many sizes, how many there are, the smallest and the largest."""
    if len(sizes) <= MOST_SIZES:
        return ", ".join(f"{count} of {size}" for size, count in sizes.items()) or "none here"
    by_pixels = sorted(sizes, key=lambda size: math.prod(map(int, size.split("x"))))
    return f"{sum(sizes.values())} of {len(sizes)} sizes, from {by_pixels[0]} to {by_pixels[-1]}"


def _fail_on_shared_images(rows: Iterable[dict[str, Any]]) -> None:
    """End a check of a user's own images that has one picture in two splits. Those of the other data sets are known."""
    own = [row for row in rows if data_sets()[row["dataset"]].splits is None]
    if shared := sum(len(row["identical_in_two_splits"]) for row in own):
        raise Failure(
            f"{counted(shared, 'pair')} of identical images in two splits: scores on images that were trained on are too good",
            ExitCode.USAGE,
        )


def _warn_of_identical_images(row: dict[str, Any]) -> None:
    for key, where in (("identical_in_two_splits", "in two splits"), ("identical_within_a_split", "within a split")):
        click.echo(f"{_which(row)}: {counted(len(row[key]), 'pair')} of identical images {where}", err=True)
        for first, second in row[key]:
            click.echo(f"  {first} = {second}", err=True)


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
    from fsl_core.datasets.image_counts import banks_of

    counts = {
        part: {"base_classes": len(bank.class_names), "images": int(bank.sizes.sum())} for part, bank in banks_of(dataset).items()
    }
    choices = {key: getattr(data, key) for key in data_sets()[data.dataset].choices}
    return {"dataset": dataset.name, "split": dataset.split, **choices, "digest": dataset.digest, **counts}
