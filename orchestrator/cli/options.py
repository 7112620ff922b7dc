"""The options that commands share, and where they lead: flag before environment before sweep file before default."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from orchestrator.launch.loading import load
from orchestrator.sweep.folder import check_folder, folder_named
from orchestrator.sweep.shipped import find_sweep
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.tracking_address import TrackingAddress, problem_with
from orchestrator.tracking.tracking_uri import default_address

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


_SELECTION = (
    click.argument("sweep", type=find_sweep),
    click.option("--set", "set_values", multiple=True, metavar="KEY=VALUE", help="Fix a value for all cells; repeatable."),
    click.option("--only", multiple=True, metavar="'way=5,shot=1'", help="Keep only the cells that match; repeatable."),
    click.option("--seeds", metavar="0,1,2", help="Use these seeds instead of the sweep file's."),
)
folder_option = functools.partial(click.option, metavar="DIRECTORY", callback=as_folder)
_PLACES = {
    "data_root": folder_option("--data-root", envvar="FSL_DATA_ROOT", show_envvar=True, help="Folder that holds omniglot/*.zip."),
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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A sweep file and what the command line changes of it or narrows it to."""

    sweep: Path
    set_values: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: str | None = None

    def load(self) -> SweepSpec:
        """The sweep that is meant. Raises SweepFileError."""
        return load(self.sweep, set_values=self.set_values, only=self.only, seeds=self.seeds)


@dataclass(frozen=True, kw_only=True)
class Given:
    """The places that a flag or the environment gave; None where neither did."""

    data_root: Path | None = None
    runs_root: Path | None = None
    results_root: Path | None = None
    tracking_uri: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a command reads and writes. ``data_root`` None means that only a download or prepared data can serve."""

    data_root: Path | None
    runs_root: Path
    results_root: Path
    tracking: TrackingAddress

    @staticmethod
    def resolve(given: Given, spec: SweepSpec | None = None) -> Places:
        """Fill in what was not given: from the sweep file, then with the defaults. Paths are absolute.

        Raises:
            FolderError: the runs root or the data root is no folder.
        """
        named = Given() if spec is None else _named_by(spec)
        runs = (given.runs_root or named.runs_root or Path("runs")).absolute()
        data = given.data_root or named.data_root
        named_address = given.tracking_uri or named.tracking_uri
        check_folder(runs, "runs root")
        if data is not None:
            check_folder(data.absolute(), "data root")
        return Places(
            data_root=None if data is None else data.absolute(),
            runs_root=runs,
            results_root=(given.results_root or named.results_root or Path("results")).absolute(),
            tracking=TrackingAddress(named_address) if named_address else default_address(runs),
        )

    def check_writable(self, finished: str | None = None) -> None:
        """Raises FolderError where the runs root cannot be written to, nor the results root's folder of the sweep ``finished``."""
        check_folder(self.runs_root, "runs root", for_writing=True)
        if finished is not None:
            check_folder(self.results_root / finished, "folder of finished tables", for_writing=True)

    @property
    def cache_root(self) -> Path:
        """Where prepared data sets lie."""
        return self.runs_root / "data"


def _named_by(spec: SweepSpec) -> Given:
    """The places that a sweep file names."""
    return Given(
        data_root=Path(spec.data_root) if spec.data_root else None,
        runs_root=Path(spec.runs_root) if spec.runs_root else None,
        results_root=Path(spec.results_root) if spec.results_root else None,
        tracking_uri=spec.tracking_uri,
    )


def takes_selection(command: Command) -> Command:
    """Give a command the sweep file and its overrides, as its argument ``selection``."""
    return gathered("selection", Selection, _SELECTION)(command)


def takes_places(*names: str) -> Decorator:
    """Give a command the flags of these places, as its argument ``given``."""
    return gathered("given", Given, tuple(_PLACES[name] for name in names))


def gathered(argument: str, kind: type[Any], options: tuple[Decorator, ...]) -> Decorator:
    """Several options as one argument of the command: a value of ``kind``, whose fields have the options' names."""
    names = {field.name for field in dataclasses.fields(kind)}

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_value(**options_given: Any) -> Any:
            own = {name: options_given.pop(name) for name in names & options_given.keys()}
            return command(**{argument: kind(**own)}, **options_given)

        decorated: Command = with_value
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
