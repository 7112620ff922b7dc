"""The CPU memory of training on an episode, and how many episodes may be differentiated together. Imports no torch."""

from __future__ import annotations

from fsl_core.recipe.recipe import TrainingRecipe

_BYTES = 25  # per pixel and filter, measured: float32 activations of a Conv-4 step, all blocks, with gradients
_WEIGHT_BYTES = 4  # float32
_BYTES_AT_ONCE = 512 * 2**20


def episode_bytes(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> int:
    """Estimate the peak bytes of one training episode: its activations, and its own fast weights and their gradients."""
    algorithm, backbone = recipe.algorithm, recipe.backbone
    own = algorithm.weight_count(backbone.features(image_shape), recipe.episode.way)
    activations = algorithm.kept_images(recipe.episode) * backbone.kept_values(image_shape) * _BYTES
    return activations + _WEIGHT_BYTES * algorithm.kept_weights(backbone.weight_count(image_shape), own)


def most_episodes_at_once(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> int:
    """The number of episodes of a meta-batch to differentiate together on a CPU: as many as fit half a gigabyte, at least one."""
    return max(1, min(recipe.meta_batch_size, _BYTES_AT_ONCE // episode_bytes(recipe, image_shape)))
