"""Where each setting of a cell comes from: its preset, the sweep in place of it or beside it, or its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.plan import Cell, Plan
from orchestrator.sweep.presets import find_preset
from orchestrator.sweep.spec import SweepSpec

_SHOWN_ELSEWHERE = {"preset", "algorithm", "dataset", "way", "shot"}


def settings_of(spec: SweepSpec, cell: CellSettings) -> Mapping[str, Mapping[str, Any]]:
    """A cell's settings by where they come from.

    ``preset``: what its preset gives; ``instead``: what the sweep gives in place of the preset's, ``[ours, the preset's]``; ``sweep``: what
    else the sweep file or the command line gives; ``default``: all others. Settings that its algorithm or backbone does not have are left
    out.
    """
    preset = find_preset(spec.presets, cell.preset)
    values = {name: getattr(cell, name) for name in SETTING_NAMES}
    given = (preset.given_to(values) if preset else None) or {}
    known = {name: value for name, value in values.items() if value is not None or given.get(name) is not None}
    others = {name: value for name, value in known.items() if name not in given and name not in _SHOWN_ELSEWHERE}
    own = spec.given.get(cell, frozenset())
    return {
        "preset": {name: value for name, value in known.items() if name in given and given[name] == value},
        "instead": {name: [value, given[name]] for name, value in known.items() if name in given and given[name] != value},
        "sweep": {name: value for name, value in others.items() if name in own},
        "default": {name: value for name, value in others.items() if name not in own},
    }


def plain_settings(plan: Plan, cell: Cell) -> Mapping[str, Any]:
    """The same of one cell, as JSON types."""
    return {"from": cell.settings.preset, **settings_of(plan.spec, cell.settings)}
