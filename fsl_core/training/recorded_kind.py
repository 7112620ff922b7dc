"""The part of a kind of training step that is known without its machine, and when compiling pays. Imports no torch."""

from __future__ import annotations

from typing import Any

from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.unit_work import step_bill

SECONDS_THAT_REPAY_COMPILING = 120.0
"""Of a training that is not compiled: a compiled step takes about half the time, and compiling about a minute (docs/performance.md)."""
COMPILED_STEPS_ARE_CHOSEN = False
"""Whether a launch may choose compiled steps. Not until their gradients are proven on a GPU for the shapes of real trainings: two trainings
of MAML on compiled steps learned less than the same trainings on a CPU, for a reason that is not known yet (docs/performance.md). A path
that the user gives may be compiled."""
SECONDS_THAT_REPAY_LOOPS = 60.0
"""The same for loops on a CPU: a step takes up to a fifth less time, and compiling some five seconds."""
_CANDIDATES = {"cuda": 5, "cpu": 1}  # the version of their list: a choice among others is made again


def recorded_kind(recipe: TrainingRecipe, image_shape: tuple[int, int, int], device: str) -> dict[str, Any]:
    """The kind of a recipe's steps on a device, as JSON types.

    The number of steps belongs to it: it decides whether compiling pays.
    """
    (work, _), *_ = step_bill(recipe)
    return {
        "work": as_plain(work),
        "meta_batch_size": recipe.meta_batch_size,
        "image_shape": list(image_shape),
        "device": device,
        "steps": most_steps(recipe),
        "candidates": _CANDIDATES[device],
    }


def most_steps(recipe: TrainingRecipe) -> int:
    """The steps of a recipe to the end of its budget; a second training, where there is one, takes as many."""
    return recipe.steps * (2 if recipe.retrain else 1)


def repays_compiling(training_seconds: float) -> bool:
    """Whether compiling its steps may shorten a training that otherwise takes so long, and compiled steps are chosen at all."""
    return COMPILED_STEPS_ARE_CHOSEN and training_seconds >= SECONDS_THAT_REPAY_COMPILING


def repays_loops(training_seconds: float) -> bool:
    """Whether compiling loops may shorten a training that otherwise takes so long."""
    return training_seconds >= SECONDS_THAT_REPAY_LOOPS
