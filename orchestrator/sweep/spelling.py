"""Spells settings in names: short, in the words of the papers, and the same everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.recipe.setting import plainly
from orchestrator.sweep.cell_settings import CellSettings, descriptions
from orchestrator.sweep.flat_settings import Settings, cell_settings, recipe_settings

Words = Mapping[str, str]
"""The settings of a trial or a cell, each in a few words. Different values of a setting have different words."""

_WITH_ANOTHER = ("learn_scale", "shot", "train_shot", "validation_shot")
"""Settings that are part of another one's word: of the scale, of the ways."""


def trial_words(recipe: TrainingRecipe) -> Words:
    """The words of a recipe; its training episodes read ``60w1s`` and its seed ``s0``."""
    settings = recipe_settings(recipe)
    words = {key: _spelled(key, settings) for key in settings if key not in (*_WITH_ANOTHER, "train_way")}
    return {**words, "shape": _shape("train_", settings), "seed": f"s{recipe.seed}"}


def cell_words(cell: CellSettings) -> Words:
    """The words of a cell; its test episodes read ``5-way 1-shot``, and its training ones ``trained on 60w1s``."""
    settings = cell_settings(cell)
    words = {key: _spelled(key, settings) for key in settings if key not in (*_WITH_ANOTHER, "way")}
    return {**words, "shape": f"{cell.way}-way {cell.shot}-shot", "train_way": f"trained on {_shape('train_', settings)}"}


def unsaid() -> Words:
    """The words of the usual forms, by their keys; names omit them where all have them."""
    usual = {key: said.form == "unless_usual" for key, said in descriptions().items()}
    parts = (CellSettings, *AlgorithmSettings.kinds().values(), *BackboneSettings.kinds().values())
    defaults = {item.name: item.default for part in parts for item in dataclasses.fields(cast(Any, part))}
    known = {key: Evaluation.inductive if key == "inductive" else defaults[key] for key, is_so in usual.items() if is_so}
    return {key: _word(key, value) for key, value in known.items()}


def _spelled(key: str, settings: Settings) -> str:
    if key == "validation_way":
        return f"validation {_shape('validation_', settings)}"
    word = _word(key, settings[key])
    return f"learned {word}" if key == "scale" and settings.get("learn_scale") else word


def _word(key: str, value: Any) -> str:
    word = descriptions()[key].word if key in descriptions() else None
    return plainly(key.replace("_", " "), value) if word is None else word(value)


def _shape(prefix: str, settings: Settings) -> str:
    return f"{settings[f'{prefix}way']}w{settings[f'{prefix}shot']}s"
