"""Reads a sweep: its file, the presets beside it, and what the command line changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.cell_grid import CellGrid
from orchestrator.overrides import parse_overrides
from orchestrator.preset_file import load_presets
from orchestrator.spec import SweepSpec
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
    """
    document, file = read_sweep_file(path)
    overrides = parse_overrides(set_values, only, seeds)
    presets = load_presets(path.parent)
    own_seeds = overrides.seeds in (None, tuple(file.seeds))
    return SweepSpec(
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
