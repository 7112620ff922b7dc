"""What a trial takes up beside time: the memory of its process, the disk of its folder. Estimates."""

from __future__ import annotations

import math

from fsl_core.datasets.extent import image_shape
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.episode_memory import episode_bytes, most_episodes_at_once
from orchestrator.sweep.plan import PlannedTrial

_PROCESS_BYTES = 900 * 2**20  # torch and its libraries in one worker process, as measured
_SCORING_BYTES = 12  # a pixel and filter, as measured: activations without gradients, for the images that scoring embeds at once,
_SCORING_PIXELS = 500 * 28 * 28
_SCORES_BYTES = 600 * 2**20  # and the distances of a chunk of episodes
_WEIGHT_COPIES = 9  # two checkpoints, each with weights, two Adam moments and the best weights, then the selected weights


def memory_bytes(recipe: TrainingRecipe) -> int:
    """The memory of a trial's process at its peak: the libraries, the weights, and training or scoring. An estimate.

    Of a meta-batch as many episodes count as may be differentiated together.
    """
    shape = image_shape(recipe.data)
    training = episode_bytes(recipe, shape) * most_episodes_at_once(recipe, shape)
    weights = 4 * weight_count(recipe) * 5  # gradients, two Adam moments and the best weights beside the weights themselves
    scoring = 0.0
    if not recipe.algorithm.adapts:
        maps = recipe.backbone.kept_values(shape) / math.prod(shape[1:])
        scoring = _SCORING_PIXELS * maps * _SCORING_BYTES + _SCORES_BYTES
    return round(_PROCESS_BYTES + weights + max(training, scoring))


def weight_count(recipe: TrainingRecipe) -> int:
    """How many numbers the networks of a recipe are made of."""
    shape, backbone = image_shape(recipe.data), recipe.backbone
    return backbone.weight_count(shape) + recipe.algorithm.weight_count(backbone.features(shape), recipe.episode.way)


def disk_bytes(trial: PlannedTrial) -> int:
    """What a trial's folder takes in the end: its checkpoints, its weights, its scores. An estimate."""
    scores = sum(6 * each.episodes * (1 + (each.adaptation_steps or 0)) + 1000 for each in trial.evaluations)
    return 4 * weight_count(trial.recipe) * _WEIGHT_COPIES + scores + 50_000
