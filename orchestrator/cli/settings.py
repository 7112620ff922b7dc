"""Which settings the cells of a sweep use, and which of them come from a preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fsl_core.written import written
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.plan import Cell, Plan
from orchestrator.sweep.presets import find_preset
from orchestrator.sweep.spec import SweepSpec

_SHOWN_ELSEWHERE = {"preset", "algorithm", "dataset", "way", "shot"}


def settings_of(spec: SweepSpec, cell: CellSettings) -> Mapping[str, Mapping[str, Any]]:
    """A cell's settings by where they come from.

    ``preset``: what its preset gives; ``instead``: what the sweep gives in place of the preset's, ``[ours, the preset's]``; ``own``: all
    others, from the sweep or by default. Settings that its algorithm or backbone does not have are left out.
    """
    preset = find_preset(spec.presets, cell.preset)
    values = {name: getattr(cell, name) for name in SETTING_NAMES}
    given = (preset.given_to(values) if preset else None) or {}
    known = {name: value for name, value in values.items() if value is not None or given.get(name) is not None}
    return {
        "preset": {name: value for name, value in known.items() if name in given and given[name] == value},
        "instead": {name: [value, given[name]] for name, value in known.items() if name in given and given[name] != value},
        "own": {name: value for name, value in known.items() if name not in given and name not in _SHOWN_ELSEWHERE},
    }


def settings_text(plan: Plan) -> str:
    """The presets in use in words; then the settings of every cell: first those that all share, then each cell's others."""
    used = {cell.settings.preset for cell in plan.cells}
    presets = [f"preset {each.id}: {each.title}. {each.description}" for each in plan.spec.presets if each.id in used]
    every = [_spelt(plan.spec, cell.settings) for cell in plan.cells]
    shared = [text for text in every[0] if all(text in texts for texts in every)]
    parts = [*presets, "settings of every cell:", *_block(shared)]
    for cell, texts in zip(plan.cells, every, strict=True):
        parts += [f"{cell.name}:", *_block([text for text in texts if text not in shared])]
    return "\n".join(parts)


def plain_settings(plan: Plan, cell: Cell) -> Mapping[str, Any]:
    """The same of one cell, as JSON types."""
    return {"from": cell.settings.preset, **settings_of(plan.spec, cell.settings)}


def _spelt(spec: SweepSpec, cell: CellSettings) -> list[tuple[str, str]]:
    """Each setting as where it comes from and ``key=value``."""
    parts = settings_of(spec, cell)
    lines = [(f"from the preset {cell.preset}", f"{name}={written(value)}") for name, value in parts["preset"].items()]
    lines += [
        (f"in place of the preset {cell.preset}'s", f"{name}={written(ours)} (not {written(theirs)})")
        for name, (ours, theirs) in parts["instead"].items()
    ]
    return lines + [("from the sweep or by default", f"{name}={written(value)}") for name, value in parts["own"].items()]


def _block(texts: Sequence[tuple[str, str]]) -> list[str]:
    origins = dict.fromkeys(origin for origin, _ in texts)
    return [f"  {origin}: {', '.join(text for other, text in texts if other == origin)}" for origin in origins]
