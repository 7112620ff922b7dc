"""What a difference of one setting does to a verdict: it is material unless the setting's own field says otherwise, with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.recipe.setting import Lighter, Weight
from orchestrator.sweep.cell_settings import CellSettings, descriptions


def weight_of(key: str, settings: CellSettings) -> Weight:
    """What a difference in one setting of a cell does to its verdict."""
    return next((each.weight for each in lighter().get(key, ()) if holds(each, settings)), "material")


def lighter() -> Mapping[str, tuple[Lighter, ...]]:
    """The settings in which two runs may differ without being incomparable, by their keys, and why."""
    return {key: said.lighter for key, said in descriptions().items() if said.lighter}


def holds(reason: Lighter, settings: CellSettings) -> bool:
    """Whether a reason is about a cell."""
    return all(getattr(settings, key) == value for key, value in reason.where.items())
