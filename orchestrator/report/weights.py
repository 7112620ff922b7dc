"""Weighs a difference in one setting for the verdict: it is material unless the setting's field gives a reason otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from fsl_core.recipe.setting import Lighter, Weight
from orchestrator.sweep.cell_settings import CellSettings, descriptions


def weight_of(key: str, settings: CellSettings) -> Weight:
    """The weight of a difference in one setting of a cell for its verdict."""
    return next((each.weight for each in lighter().get(key, ()) if holds(each, settings)), "material")


def lighter() -> Mapping[str, tuple[Lighter, ...]]:
    """The settings in which comparable runs may differ, by their keys, with the reasons."""
    return {key: said.lighter for key, said in descriptions().items() if said.lighter}


def holds(reason: Lighter, settings: CellSettings) -> bool:
    """Whether a reason applies to a cell."""
    return all(getattr(settings, key) == value for key, value in reason.where.items())
