"""Flattens recipes and cells to the keys of sweep files, for names and exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fsl_core.recipe.recipe import TrainingRecipe
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings

Settings = Mapping[str, Any]
"""Settings by their keys in sweep files. Keys that an algorithm or a backbone does not have are absent; None is a value."""


def recipe_settings(recipe: TrainingRecipe) -> Settings:
    """All settings of a recipe, including ``seed``: two recipes differ where their settings do."""
    watched, shape = recipe.validation, recipe.episode
    return {
        "algorithm": recipe.algorithm.name,
        **_fields(recipe.algorithm),
        **_fields(recipe.data),
        **{f"train_{name}": value for name, value in _fields(shape).items()},
        "steps": recipe.steps,
        "optimiser": recipe.optimiser.name,
        **_fields(recipe.optimiser),
        "meta_batch_size": recipe.meta_batch_size,
        "backbone": recipe.backbone.name,
        **_fields(recipe.backbone),
        "retrain": recipe.retrain,
        "matmul_precision": recipe.matmul_precision,
        "selection": watched.selection,
        "patience": watched.patience,
        "validation_every": watched.every,
        "validation_episodes": watched.episodes,
        **{f"validation_{name}": value for name, value in _fields(watched.shape).items()},
        **({} if watched.adaptation_steps is None else {"validation_adaptation_steps": watched.adaptation_steps}),
        "seed": recipe.seed,
    }


def cell_settings(cell: CellSettings) -> Settings:
    """All settings of a cell, including ``preset``."""
    return {name: getattr(cell, name) for name in SETTING_NAMES if cell.has(name)}


def _fields(part: Any) -> dict[str, Any]:
    fields = {field.name: field for field in dataclasses.fields(part)}
    values = {name: getattr(part, name) for name in fields}
    return {name: value for name, value in values.items() if value is not None or fields[name].metadata.get("none_is_off")}
