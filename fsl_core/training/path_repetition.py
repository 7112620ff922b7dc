"""Shows, before a path is chosen, that a training on it repeats to the bit."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import torch

from fsl_core.errors import ExecutionPathError
from fsl_core.memory_shortage import is_memory_shortage
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_timing import training_along

_STEPS = 3

Repetition = Callable[[TrainingRecipe, ExecutionPath, tuple[int, int, int]], bool]
"""Whether a training of a recipe on an active path, for images of a shape, repeats to the bit."""


def not_repeating(
    recipe: TrainingRecipe, paths: Sequence[ExecutionPath], image_shape: tuple[int, int, int], repetition: Repetition
) -> Sequence[ExecutionPath]:
    """The paths before the first one that repeats. Later ones are not tried.

    Raises:
        ExecutionPathError: no path repeats.
    """
    problem = ""
    for number, path in enumerate(paths):
        try:
            with path.active(recipe.matmul_precision):
                if repetition(recipe, path, image_shape):
                    return paths[:number]
        except (RuntimeError, ExecutionPathError) as error:
            if is_memory_shortage(error):  # it says nothing about the path, and passes
                raise
            problem = problem or f": {error}"
    raise ExecutionPathError(f"no execution path that works here repeats to the bit{problem}")


def repeats_exactly(recipe: TrainingRecipe, path: ExecutionPath, image_shape: tuple[int, int, int]) -> bool:
    """Whether two trainings of a few steps from the same start, each prepared anew, end at the same bits of every weight.

    The path must be active.
    """
    return _ended(recipe, path, image_shape) == _ended(recipe, path, image_shape)


def _ended(recipe: TrainingRecipe, path: ExecutionPath, image_shape: tuple[int, int, int]) -> dict[str, bytes]:
    """The bits of the weights and statistics after the steps. The memory of the training is released."""
    state, take_step = training_along(recipe, path, image_shape, torch.device(path.device))
    for _ in range(_STEPS):
        take_step()
    named = {name: value.cpu().contiguous() for name, value in (state.weights | state.statistics).items()}
    del state, take_step
    if path.device == "cuda":  # the second training needs as much
        gc.collect()
        torch.cuda.empty_cache()
    return {name: value.numpy().tobytes() for name, value in named.items()}
