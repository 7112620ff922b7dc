"""``fsl.load``: a sweep by its file, with its overrides and its places."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.loading import load as load_spec
from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.launch.workspace import Sweep, Workspace
from orchestrator.sweep.folder import folder_named
from orchestrator.sweep.shipped import find_sweep, names_another_file, source_text

Folder = str | Path
SweepLike = str | Path | Sweep | Workspace
"""A sweep file, or what was loaded or opened of one."""


def load(
    sweep: str | Path,
    *,
    set: Mapping[str, object] | Sequence[str] = (),
    only: str | Sequence[str] = (),
    seeds: str | Sequence[int] | None = None,
    data_root: Folder | None = None,
    runs_root: Folder | None = None,
    results_root: Folder | None = None,
    tracking_uri: str | None = None,
    callbacks: Callbacks | None = None,
) -> Sweep:
    """Load a sweep. Nothing is written, no image is looked at.

    Args:
        sweep: the path of a sweep file; or a name, which stands for ``sweeps/NAME.yaml``, else for the sweep of the package.
        set: values for all cells, ``{"steps": 20}`` or ``["steps=20"]``. A key that is an axis of some cells alone is set in these; a
            notice counts the cells that it leaves as they are.
        only: keeps the cells that match one of these, ``"way=5,shot=1"``.
        seeds: used instead of the sweep file's, ``[0, 1]`` or ``"0,1"``.
        data_root: the folder that holds the source images; else FSL_DATA_ROOT, else what the sweep file says.
        runs_root: the folder of all state; else FSL_RUNS_ROOT, else what the sweep file says, else ``./runs``.
        results_root: the folder of finished tables; else what the sweep file says, else ``./results``.
        tracking_uri: the MLflow store; else MLFLOW_TRACKING_URI, else what the sweep file says, else ``mlflow.db`` in the runs root.
        callbacks: what hears of notices, warnings and progress; by default logging, warnings, and nothing. A notice says which file a
            name stands for.

    Returns:
        The sweep, which every other call takes.

    Raises:
        UnknownSweepError: no sweep has the name; the message lists those that exist.
        SweepFileError: with the file, the line, the key path, the value and what would be accepted.
        RegistryError: a file of published numbers is wrong.
        FolderError: a folder cannot be one.

    Example:
        >>> import orchestrator as fsl
        >>> sweep = fsl.load("quick", set={"steps": 100}, seeds=[0])
        >>> [cell.way for cell in sweep.spec.cells][:2]
        [5, 5]
    """
    only = (only,) if isinstance(only, str) else only
    file = sweep if isinstance(sweep, Path) else find_sweep(sweep)
    spec = load_spec(file, set_values=_set_texts(set), only=only, seeds=_seeds_text(seeds))
    options = PlaceOptions(
        data_root=_folder(data_root, "data_root", "FSL_DATA_ROOT"),
        runs_root=_folder(runs_root, "runs_root", "FSL_RUNS_ROOT"),
        results_root=_folder(results_root, "results_root"),
        tracking_uri=tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"),
    )
    loaded = Sweep(spec=spec, places=Places.resolve(options, spec), callbacks=callbacks or Callbacks())
    for text in spec.notices:
        loaded.callbacks.notice(text)
    if names_another_file(sweep, file):
        loaded.callbacks.notice(source_text(file))
    return loaded


def sweep_of(sweep: str | Path | Sweep) -> Sweep:
    """A sweep that is loaded, or that a file is loaded into with nothing changed."""
    return sweep if isinstance(sweep, Sweep) else load(sweep)


def workspace_of(sweep: SweepLike) -> Workspace:
    """The workspace to look at of whatever stands for a sweep."""
    return sweep if isinstance(sweep, Workspace) else sweep_of(sweep).workspace()


def _set_texts(values: Mapping[str, object] | Sequence[str]) -> tuple[str, ...]:
    """The values as ``--set`` takes them, which is YAML."""
    if not isinstance(values, Mapping):
        return tuple(values)
    return tuple(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items())


def _seeds_text(seeds: str | Sequence[int] | None) -> str | None:
    return seeds if seeds is None or isinstance(seeds, str) else ",".join(map(str, seeds))


def given_folder(folder: Folder, name: str) -> Path:
    """The folder that an argument gives. In a text ``~`` and ``$VARIABLE`` mean what they mean in a shell.

    Raises:
        FolderError: with the argument's name.
    """
    return folder if isinstance(folder, Path) else folder_named(folder, name)


def _folder(given: Folder | None, name: str, variable: str | None = None) -> Path | None:
    """The folder that an argument or, where there is none, a variable gives."""
    if given is not None:
        return given_folder(given, name)
    text = os.environ.get(variable) if variable else None
    return folder_named(text, str(variable)) if text else None
