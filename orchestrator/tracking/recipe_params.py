"""Turns a recipe into MLflow parameters with the names of sweep files."""

from __future__ import annotations

import dataclasses
from typing import Any

from fsl_core.recipe.recipe import TrainingRecipe

MOST_PARAM_CHARACTERS = 6000


def recipe_params(recipe: TrainingRecipe) -> dict[str, str]:
    """The settings of a recipe and its seed, such as ``train_way`` and ``outer_lr``, without those that are None."""
    named: dict[str, Any] = {
        "algorithm": recipe.algorithm.name,
        "backbone": recipe.backbone.name,
        "optimiser": recipe.optimiser.name,
    }
    for part in (recipe.algorithm, recipe.data, recipe.backbone, recipe.optimiser):
        named |= _fields(part)
    named |= {f"train_{name}": value for name, value in _fields(recipe.episode).items()}
    named |= {f"validation_{name}": value for name, value in _fields(recipe.validation.shape).items()}
    validation = _fields(recipe.validation)
    named |= {name: validation.pop(name) for name in ("selection", "patience")}
    named |= {f"validation_{name}": value for name, value in validation.items()} | _fields(recipe)
    return {name: str(value)[:MOST_PARAM_CHARACTERS] for name, value in named.items() if value is not None}


def _fields(part: Any) -> dict[str, Any]:
    """The fields of a settings value, without those that are settings values themselves."""
    values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return {name: value for name, value in values.items() if not dataclasses.is_dataclass(value)}
