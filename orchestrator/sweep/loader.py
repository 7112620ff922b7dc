"""Loads a sweep from its file, the presets beside it, and the command line. Its registries are read elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsl_core.errors import SettingError
from fsl_core.recipe.data_settings import data_sets
from orchestrator.errors import FolderError
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.document import Document
from orchestrator.sweep.folder import folder_named
from orchestrator.sweep.grid import CellGrid
from orchestrator.sweep.overrides import Overrides, parse_overrides
from orchestrator.sweep.preset_file import load_presets
from orchestrator.sweep.schema import SweepFile, read_sweep_file
from orchestrator.sweep.spec import SweepSpec, with_dataset
from orchestrator.sweep.tracking_address import problem_with

_AS_WRITTEN = {"name", "description", "short", "fallback_dataset", "max_concurrent", "tracking_uri"}
_FOLDERS = ("data_root", "runs_root", "results_root")


def load_sweep(path: Path, *, set_values: Sequence[str] = (), only: Sequence[str] = (), seeds: str | None = None) -> SweepSpec:
    """Read a sweep file, and apply the command line's overrides.

    Args:
        path: the YAML file.
        set_values: ``key=value`` texts, each of which sets one value, or a list of values, in all cells, or in those that have the
            setting as an axis where only some do.
        only: ``way=5,shot=1`` texts; a cell is kept where it matches all parts of one of them.
        seeds: comma-separated seeds that replace the file's.

    Raises:
        SweepFileError: with the file, the line, the key path, the value and the accepted values.
    """
    document, file = read_sweep_file(path)
    overrides = parse_overrides(set_values, only, seeds)
    presets = load_presets(path.parent)
    given = CellGrid(document=document, file=file, presets=presets, overrides=overrides).cells()
    cells = tuple(given)
    own_seeds = overrides.seeds in (None, tuple(file.seeds))
    spec = SweepSpec(
        published=tuple(file.published),
        published_places=tuple(document.place(("published", index)) for index in range(len(file.published))),
        seeds=overrides.seeds or tuple(file.seeds),
        cells=cells,
        given=given,
        title=_title(file, cells, overrides),
        notices=overrides.limits(cells),
        set_texts=tuple(set_values),
        only_texts=tuple(only),
        seeds_text=None if own_seeds else seeds,
        file=path,
        presets=presets,
        **_folders(document, file),
        **file.model_dump(include=_AS_WRITTEN),
    )
    _check_fallback(document, spec)
    _check_address(document, spec)
    return spec


def _title(file: SweepFile, cells: Sequence[CellSettings], overrides: Overrides) -> str:
    """The file's title; with the data sets of the cells where ``--set`` chooses others than the one that the file fixes."""
    used = dict.fromkeys(cell.dataset for cell in cells)
    if "dataset" not in overrides.values or list(used) == [file.fixed.get("dataset")]:
        return file.title
    return f"{file.title} (here on {', '.join(data_sets()[name].title for name in used)})"


def _check_fallback(document: Document, spec: SweepSpec) -> None:
    """Checks that the fallback data set has the classes and images that every cell needs."""
    if spec.fallback_dataset is None:
        return
    try:
        with_dataset(spec, spec.fallback_dataset)
    except SettingError as error:
        raise document.fault(("fallback_dataset",), f"{spec.fallback_dataset} cannot replace the data set: {error}") from error


def _check_address(document: Document, spec: SweepSpec) -> None:
    problem = problem_with(spec.tracking_uri) if spec.tracking_uri else None
    if problem is not None:
        raise document.fault(("tracking_uri",), problem)


def _folders(document: Document, file: SweepFile) -> dict[str, Any]:
    """The folders that the file names, as absolute paths."""
    folders = {}
    for key in (key for key in _FOLDERS if key in file.model_fields_set):
        text = getattr(file, key)
        if text is None:
            raise document.fault((key,), "no folder is given; write '~' in quotes for the home folder")
        try:
            folders[key] = str(folder_named(text, key))
        except FolderError as error:
            raise document.fault((key,), error.problem, setting=key, value=text) from error
    return folders
