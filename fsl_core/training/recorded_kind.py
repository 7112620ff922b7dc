"""The part of a kind of training step that is known without its machine, and when compiling pays. Imports no torch."""

from __future__ import annotations

from typing import Any

from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.unit_work import step_bill

SECONDS_THAT_REPAY_COMPILING = 120.0
"""Of a training that is not compiled: a compiled step takes about half the time, and compiling about a minute (docs/performance.md)."""
_CUDA_CANDIDATES = 4  # the version of their list: a choice among others is made again


def recorded_kind(recipe: TrainingRecipe, image_shape: tuple[int, int, int], device: str) -> dict[str, Any]:
    """The kind of a recipe's steps on a device, as JSON types.

    On CUDA the number of steps belongs to it: it decides whether compiling pays.
    """
    (work, _), *_ = step_bill(recipe)
    return {
        "work": as_plain(work),
        "meta_batch_size": recipe.meta_batch_size,
        "image_shape": list(image_shape),
        "device": device,
        **({"steps": most_steps(recipe), "candidates": _CUDA_CANDIDATES} if device == "cuda" else {}),
    }


def most_steps(recipe: TrainingRecipe) -> int:
    """The steps of a recipe to the end of its budget; a second training, where there is one, takes as many."""
    return recipe.steps * (2 if recipe.retrain else 1)


def repays_compiling(training_seconds: float) -> bool:
    """Whether compiling may shorten a training that otherwise takes so long."""
    return training_seconds >= SECONDS_THAT_REPAY_COMPILING
