"""The settings of a sweep's cells in words, and where each comes from."""

from __future__ import annotations

from collections.abc import Sequence

from fsl_core.written import written
from orchestrator.launch.setting_origins import settings_of
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.plan import Plan
from orchestrator.sweep.spec import SweepSpec


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


def _spelt(spec: SweepSpec, cell: CellSettings) -> list[tuple[str, str]]:
    """Each setting as where it comes from and ``key=value``."""
    parts = settings_of(spec, cell)
    lines = [(f"from the preset {cell.preset}", f"{name}={written(value)}") for name, value in parts["preset"].items()]
    lines += [
        (f"in place of the preset {cell.preset}'s", f"{name}={written(ours)} (not {written(theirs)})")
        for name, (ours, theirs) in parts["instead"].items()
    ]
    for part, origin in (("sweep", "from the sweep"), ("default", "by default")):
        lines += [(origin, f"{name}={written(value)}") for name, value in parts[part].items()]
    return lines


def _block(texts: Sequence[tuple[str, str]]) -> list[str]:
    origins = dict.fromkeys(origin for origin, _ in texts)
    return [f"  {origin}: {', '.join(text for other, text in texts if other == origin)}" for origin in origins]
