"""Reads a sweep: its file, the presets beside it, and what the command line changes. The registries it names are read elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fsl_core.errors import SettingError
from orchestrator.errors import FolderError
from orchestrator.sweep.document import Document
from orchestrator.sweep.folder import folder_named
from orchestrator.sweep.grid import CellGrid
from orchestrator.sweep.overrides import parse_overrides
from orchestrator.sweep.preset_file import load_presets
from orchestrator.sweep.schema import SweepFile, read_sweep_file
from orchestrator.sweep.spec import SweepSpec, with_dataset
from orchestrator.sweep.tracking_address import problem_with

_AS_WRITTEN = {"name", "title", "description", "short", "fallback_dataset", "max_concurrent", "tracking_uri"}
_FOLDERS = ("data_root", "runs_root", "results_root")


def load_sweep(path: Path, *, set_values: Sequence[str] = (), only: Sequence[str] = (), seeds: str | None = None) -> SweepSpec:
    """Read a sweep file and what the command line changes of it.

    Args:
        path: the YAML file.
        set_values: ``key=value`` texts, each of which gives a setting another value, or a list of values, in all cells; where the
            setting is an axis of some cells only, in those.
        only: ``way=5,shot=1`` texts; a cell stays when it matches all parts of one of them.
        seeds: comma-separated seeds in place of the file's.

    Raises:
        SweepFileError: with the file, the line, the key path, the value and what would be accepted.
    """
    document, file = read_sweep_file(path)
    overrides = parse_overrides(set_values, only, seeds)
    presets = load_presets(path.parent)
    own_seeds = overrides.seeds in (None, tuple(file.seeds))
    spec = SweepSpec(
        published=tuple(file.published),
        published_places=tuple(document.place(("published", index)) for index in range(len(file.published))),
        seeds=overrides.seeds or tuple(file.seeds),
        cells=CellGrid(document=document, file=file, presets=presets, overrides=overrides).cells(),
        set_texts=tuple(set_values),
        only_texts=tuple(only),
        seeds_text=None if own_seeds else seeds,
        source=path,
        presets=presets,
        **_folders(document, file),
        **file.model_dump(include=_AS_WRITTEN),
    )
    _check_fallback(document, spec)
    _check_address(document, spec)
    return spec


def _check_fallback(document: Document, spec: SweepSpec) -> None:
    """The data set that stands in where another cannot be had must have what every cell asks for."""
    if spec.fallback_dataset is None:
        return
    try:
        with_dataset(spec, spec.fallback_dataset)
    except SettingError as error:
        raise document.fault(("fallback_dataset",), f"{spec.fallback_dataset} cannot stand in: {error}") from error


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
            raise document.fault((key,), "no folder is given; the home folder is '~', in quotes")
        try:
            folders[key] = str(folder_named(text, key))
        except FolderError as error:
            raise document.fault((key,), error.problem, setting=key, value=text) from error
    return folders
