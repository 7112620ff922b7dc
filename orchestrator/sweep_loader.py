"""Reads a sweep: its file, the presets beside it, and what the command line changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from fsl_core.errors import SettingError
from fsl_core.recipe import DatasetName
from orchestrator.cell_grid import CellGrid
from orchestrator.overrides import parse_overrides
from orchestrator.preset_file import load_presets
from orchestrator.report.published import registries_beside
from orchestrator.spec import SweepSpec, with_dataset
from orchestrator.sweep_file import Document
from orchestrator.sweep_schema import read_sweep_file

_AS_WRITTEN = {"name", "title", "description", "short", "fallback_dataset", "max_concurrent"}
_PLACES = {"data_root", "runs_root", "results_root", "tracking_uri"}


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
        RegistryError: if a file of published numbers is wrong, likewise.
    """
    document, file = read_sweep_file(path)
    overrides = parse_overrides(set_values, only, seeds)
    presets = load_presets(path.parent)
    own_seeds = overrides.seeds in (None, tuple(file.seeds))
    spec = SweepSpec(
        published=tuple(file.published),
        seeds=overrides.seeds or tuple(file.seeds),
        cells=CellGrid(document=document, file=file, presets=presets, overrides=overrides).cells(),
        set_texts=tuple(set_values),
        only_texts=tuple(only),
        seeds_text=None if own_seeds else seeds,
        source=path,
        presets=presets,
        **file.model_dump(include=_AS_WRITTEN | _PLACES),
    )
    _check_sources(document, spec)
    _check_fallback(document, spec)
    return spec


def _check_sources(document: Document, spec: SweepSpec) -> None:
    """Every registry and table that a cell may be compared with must be there, in this file and in the presets that it uses."""
    registries = registries_beside(spec.source.parent)
    used = {cell.preset for cell in spec.cells}
    sources = [(source, document.place(("published", index))) for index, source in enumerate(spec.published)]
    for preset in spec.presets:
        sources += zip(preset.published, preset.published_places, strict=True) if preset.id in used else ()
    for source, place in sources:
        if problem := registries.problem_with(source):
            raise place.fault(problem)


def _check_fallback(document: Document, spec: SweepSpec) -> None:
    """The data set that stands in where another cannot be had must have what every cell asks for."""
    if spec.fallback_dataset is None:
        return
    try:
        with_dataset(spec, cast(DatasetName, spec.fallback_dataset))
    except SettingError as error:
        raise document.fault(("fallback_dataset",), f"{spec.fallback_dataset} cannot stand in: {error}") from error
