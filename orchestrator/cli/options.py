"""The options that commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fsl_core.listeners import Advance
from orchestrator.api.loading import load
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.launch.workspace import Sweep
from orchestrator.sweep.folder import folder_named
from orchestrator.sweep.shipped import find_sweep
from orchestrator.sweep.tracking_address import problem_with

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]

_INHERITED = ParameterSource.ENVIRONMENT

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def as_folder(context: click.Context, option: click.Parameter, value: str | None) -> Path | None:
    """The folder that an option's text, or its variable's, stands for. Raises FolderError, which names the one that was given."""
    source = context.get_parameter_source(option.name or "")
    return None if value is None else folder_named(value, str(option.envvar if source is _INHERITED else option.opts[0]))


def _as_address(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse what is no address; what is empty, too, for a variable that is not set would take another store in silence."""
    source = context.get_parameter_source(option.name or "")
    if value == "" and source is ParameterSource.COMMANDLINE:
        raise click.BadParameter("it is empty; is MLFLOW_TRACKING_URI set?")
    problem = problem_with(value) if value else None
    if problem is not None:
        raise click.BadParameter(problem, param_hint=str(option.envvar if source is _INHERITED else option.opts[0]))
    return value


_SELECTION: Mapping[str, Decorator] = {
    "sweep": click.argument("sweep"),
    "set_values": click.option(
        "--set",
        "set_values",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a value in all cells, or, if the key is an axis with a condition, in the cells of that axis; repeatable.",
    ),
    "only": click.option("--only", multiple=True, metavar="'way=5,shot=1'", help="Keep only the cells that match; repeatable."),
    "seeds": click.option("--seeds", metavar="0,1,2", help="Use these seeds instead of the sweep file's."),
}
folder_option = functools.partial(click.option, metavar="DIRECTORY", callback=as_folder)
_PLACES: Mapping[str, Decorator] = {
    "data_root": folder_option(
        "--data-root",
        envvar="FSL_DATA_ROOT",
        show_envvar=True,
        help="Folder of the data sets: omniglot/, folder/, …",
    ),
    "runs_root": folder_option(
        "--runs-root", envvar="FSL_RUNS_ROOT", show_envvar=True, help="Folder of all state; default ./runs."
    ),
    "results_root": folder_option("--results-root", help="Folder of finished tables; default ./results."),
    "tracking_uri": click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        show_envvar=True,
        callback=_as_address,
        help="MLflow store; default <runs-root>/mlflow.db.",
    ),
}


def stderr_callbacks() -> Callbacks:
    """Notices, warnings and progress, all on stderr."""
    return Callbacks(notice=echo_notice, warn=echo_notice, progress=_progress)


def echo_notice(message: str) -> None:
    """Print a sentence on stderr."""
    click.echo(message, err=True)


def _progress(what: str) -> AbstractContextManager[Advance]:
    from orchestrator.cli.progress_bar import shown_progress  # rich, only where something takes long

    return shown_progress(what)


def sweep_options(*places: str, says_file: bool = False) -> Decorator:
    """Give a command the sweep file, its overrides and the flags of these places: the loaded sweep, as its argument ``sweep``.

    Which file a name stands for is printed on stderr, unless the command ``says_file`` itself.
    """
    load_it = functools.partial(_loaded, by_name=not says_file)
    return gathered("sweep", load_it, {**_SELECTION, **{name: _PLACES[name] for name in places}})


def _loaded(*, set_values: tuple[str, ...], sweep: str, by_name: bool, **options: Any) -> Sweep:
    return load(sweep if by_name else find_sweep(sweep), set=set_values, callbacks=stderr_callbacks(), **options)


def selection_options(*names: str) -> Decorator:
    """Give a command the options that select a sweep's cells: their values for :func:`load`, as its argument ``selection``."""
    return gathered("selection", _overrides, {name: _SELECTION[name] for name in names})


def _overrides(*, set_values: tuple[str, ...], seeds: str | None) -> dict[str, Any]:
    return {"set": set_values, "seeds": seeds}


def place_options(*names: str) -> Decorator:
    """Give a command the flags of these places: what they give, as its argument ``places``."""
    return gathered("places", PlaceOptions, {name: _PLACES[name] for name in names})


def resolved_places(*names: str) -> Decorator:
    """Give a command the flags of these places: where they lead without a sweep, as its argument ``places``."""
    return gathered("places", _resolved, {name: _PLACES[name] for name in names})


def _resolved(**given: Any) -> Places:
    return Places.resolve(PlaceOptions(**given))


def gathered(argument: str, make: Callable[..., Any], options: Mapping[str, Decorator]) -> Decorator:
    """Several options, by their names, as one argument of the command: what ``make`` makes of them."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_value(**given: Any) -> Any:
            value = make(**{name: given.pop(name) for name in options})
            return command(**{argument: value}, **given)

        decorated: Command = with_value
        for option in reversed(tuple(options.values())):
            decorated = option(decorated)
        return decorated

    return decorate
