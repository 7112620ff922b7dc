"""How settings are spelled in names: short, in the words of the papers, and the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsl_core.recipe.recipe import TrainingRecipe
from orchestrator.counted import counted
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.flat_settings import Settings, cell_settings, recipe_settings

Words = Mapping[str, str]
"""What can be said of a trial or a cell: each of its settings in a few words. Two that differ in a setting differ in its word."""

UNSAID = frozenset({"scale 1", "no FCE", "Conv-4", "transductive"})
"""The usual forms, which go without saying where all have them."""

_DISTANCES = {"squared_euclidean": "squared Euclidean", "cosine": "cosine"}
_BACKBONES = {"conv4": "Conv-4", "mlp": "MLP"}
_CALLED = {
    "outer_lr": "lr",
    "meta_batch_size": "meta-batch",
    "evaluation_episodes": "test episodes",
    "evaluation_seed": "test seed",
}
"""Settings with a name of their own here; another is called as in sweep files, ``inner lr``."""
_PLACE = {"adaptation_steps": " in training", "validation_adaptation_steps": " in validation", "evaluation_adaptation_steps": ""}
_WITH_ANOTHER = ("learn_scale", "shot", "train_shot", "validation_shot")
"""Settings that the word of another says too: the scale, the ways."""


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


def _spelled(key: str, settings: Settings) -> str:
    value = settings[key]
    match key:
        case "algorithm" | "dataset":
            return str(value)
        case "distance":
            return _DISTANCES[value]
        case "backbone":
            return _BACKBONES[value]
        case "scale":
            return f"{'learned ' if settings.get('learn_scale') else ''}scale {_number(value)}"
        case "fce":
            return "FCE" if value else "no FCE"
        case "inductive":
            return "inductive" if value else "transductive"
        case "steps":
            return counted(value, "step", separator="") if value else "untrained"
        case "halve_every":
            return f"lr halved every {value}" if value else "constant lr"
        case "first_halving":
            return f"lr first halved at {value}" if value else "no first halving"
        case "selection":
            return "last weights" if value == "last" else f"selected by {value}"
        case "matmul_precision":
            return "TF32" if value == "tf32" else str(value)
        case "normalise":
            return "normalised" if value else "x/255"
        case "filters":
            return counted(value, "filter", separator="")
        case "validation_way":
            return f"validation {_shape('validation_', settings)}"
        case "adaptation_steps" | "validation_adaptation_steps" | "evaluation_adaptation_steps":
            return counted(value, "adaptation step", separator="") + _PLACE[key]
    return _plainly(_CALLED.get(key, key.replace("_", " ")), value)


def _shape(prefix: str, settings: Settings) -> str:
    return f"{settings[f'{prefix}way']}w{settings[f'{prefix}shot']}s"


def _plainly(name: str, value: Any) -> str:
    """Any setting by its name: ``lr 0.001``, ``no clip norm``, ``retrain``, ``no retrain``."""
    if value is None or value is False:
        return f"no {name}"
    return name if value is True else f"{name} {_number(value)}"


def _number(value: Any) -> str:
    """A number as short as it can be written without being another one; other values as sweep files spell them."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
