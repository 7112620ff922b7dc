"""How the commands are asked for the images of a data set: its name, and the options that say which of them."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

import click

from fsl_core.recipe.data_settings import DataSettings, Resize, data_sets, usual_data
from orchestrator.cli.exit_codes import ExitCode, Failure
from orchestrator.launch.places import Places

name_argument = click.argument("name", type=click.Choice(sorted(data_sets())), default="omniglot")
_OPTIONS = (
    click.option("--resize", type=click.Choice(typing.get_args(Resize)), help="How Omniglot's drawings are resized."),
    click.option("--split", help="The folder of your own images: a class split of the data set 'folder'."),
    click.option("--image-size", type=int, help="The side of your own images, in pixels.  [default: 84]"),
    click.option("--channels", type=int, help="The channels of your own images: 1, grey, or 3.  [default: 3]"),
)
Asked = Mapping[str, Any]
"""How images are asked for: the values of those options, None where one is not given."""


def asks_for_images(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which images of a data set are meant; it takes them as keywords."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def settings_of(name: str, asked: Asked, places: Places) -> DataSettings:
    """A data set's images as they are asked for; what is not given is as usual."""
    described = data_sets()[name]
    if described.splits is None and asked["split"] is None:
        raise Failure(
            f"give --split NAME, the folder of your images; found: {described.what_lies(places.data_root)}", ExitCode.USAGE
        )
    return usual_data(name, **asked)
