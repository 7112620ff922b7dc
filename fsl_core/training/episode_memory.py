"""The memory that training on an episode takes on a CPU, and how many episodes may be differentiated together. No torch is imported."""

from __future__ import annotations

from fsl_core.recipe.recipe import TrainingRecipe

_BYTES = 25  # a pixel and filter, as measured: float32 activations of a Conv-4 step, all blocks, with their gradients
_BYTES_AT_ONCE = 512 * 2**20


def episode_bytes(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> int:
    """The bytes of the activations of one training episode at their peak. An estimate."""
    return recipe.algorithm.kept_images(recipe.episode) * recipe.backbone.kept_values(image_shape) * _BYTES


def most_episodes_at_once(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> int:
    """How many episodes of a meta-batch may be differentiated together on a CPU: one, or as many as take half a gigabyte."""
    return max(1, min(recipe.meta_batch_size, _BYTES_AT_ONCE // episode_bytes(recipe, image_shape)))
