"""``fsl data``: fetch and prepare the images, and see whether they are what they should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from fsl_core.recipe import SPLITS_OF_DATASET, DataSettings
from orchestrator.cli.exit_codes import ExitCode, Failure
from orchestrator.cli.options import Given, Places, json_option, takes_places

if TYPE_CHECKING:
    from fsl_core.datasets.catalogue import SplitDataset

name_argument = click.argument("name", type=click.Choice(sorted(SPLITS_OF_DATASET)), default="omniglot")


@click.group()
def data() -> None:
    """The images that sweeps train on."""


@data.command()
@name_argument
@takes_places("data_root", "runs_root")
@json_option
def prepare(name: str, given: Given, as_json: bool) -> None:
    """Find or download a data set and prepare every split of it, once for all trials of this machine."""
    _show(_opened(name, Places.resolve(given)), as_json)


@data.command()
@name_argument
@takes_places("data_root", "runs_root")
@json_option
def check(name: str, given: Given, as_json: bool) -> None:
    """Check a data set that is already here, every byte of it; nothing is downloaded. Exit code 2: it is absent or damaged."""
    from fsl_core.datasets.catalogue import is_available, prepared_folder
    from fsl_core.datasets.preparation import read_prepared

    places = Places.resolve(given)
    if not is_available(name, data_root=places.data_root, cache_root=places.cache_root):
        where = f"under {places.data_root}" if places.data_root else "(no --data-root, FSL_DATA_ROOT is not set)"
        raise Failure(
            f"{name} is not here {where}; `fsl data prepare {name}` fetches it where there is a network", ExitCode.USAGE
        )
    opened = list(_opened(name, places))
    read_prepared(prepared_folder(name, places.cache_root), verify=True)
    _show(opened, as_json)
    for dataset in opened:
        _warn_of_shared_images(dataset)


def _warn_of_shared_images(dataset: SplitDataset) -> None:
    from fsl_core.datasets.duplicates import images_in_two_splits

    shared = images_in_two_splits(dataset)
    click.echo(f"{dataset.name}, split {dataset.split}: {len(shared)} identical images in two splits", err=True)
    for pair in shared:
        click.echo(f"  {pair.first} = {pair.second}", err=True)


def _opened(name: str, places: Places) -> Iterator[SplitDataset]:
    from fsl_core.datasets.catalogue import open_dataset

    for split in SPLITS_OF_DATASET[name]:
        settings = DataSettings(dataset=name, split=split)  # type: ignore[arg-type]  # both come from the catalogue
        yield open_dataset(
            settings,
            data_root=places.data_root,
            cache_root=places.cache_root,
            announce=lambda message: click.echo(message, err=True),
        )


def _show(opened: Iterable[SplitDataset], as_json: bool) -> None:
    rows = [_described(dataset) for dataset in opened]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['dataset']}, split {row['split']}, sha256 {row['digest']}")
        for part in ("meta_train", "meta_validation", "meta_test"):
            count = row[part]
            click.echo(f"  {part:<16}{count['base_classes']:>5} classes, {count['images']:>6} images")


def _described(dataset: SplitDataset) -> dict[str, Any]:
    parts = {name: getattr(dataset, name) for name in ("meta_train", "meta_validation", "meta_test")}
    counts = {name: {"base_classes": len(bank.class_names), "images": int(bank.sizes.sum())} for name, bank in parts.items()}
    return {"dataset": dataset.name, "split": dataset.split, "digest": dataset.digest, **counts}
