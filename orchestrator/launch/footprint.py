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
_STATE_COPIES = (
    6  # of the weights in a training's state, as measured: themselves, gradients, two Adam moments, what lies between them
)
_WEIGHT_COPIES = 9  # two checkpoints, each with weights, two Adam moments and the best weights, then the selected weights


def memory_bytes(recipe: TrainingRecipe) -> int:
    """The memory of a trial's process at its peak: the libraries, the states of trainings, and episodes or scoring. An estimate.

    Of a meta-batch as many episodes count as may be differentiated together.
    """
    shape = image_shape(recipe.data)
    at_once = most_episodes_at_once(recipe, shape)
    training = episode_bytes(recipe, shape) * at_once
    weights = 4 * weight_count(recipe) * _STATE_COPIES * measured_paths(recipe, at_once)
    scoring = 0.0
    if not recipe.algorithm.adapts:
        maps = recipe.backbone.kept_values(shape) / math.prod(shape[1:])
        scoring = _SCORING_PIXELS * maps * _SCORING_BYTES + _SCORES_BYTES
    return round(_PROCESS_BYTES + weights + max(training, scoring))


def measured_paths(recipe: TrainingRecipe, at_once: int) -> int:
    """The most execution paths that are measured together on a CPU, each with a training's state of its own.

    As many as :class:`fsl_core.training.step_kind.StepKind` tries, without importing torch.
    """
    other_sizes = min(3, at_once - 1)
    return other_sizes + (4 if recipe.algorithm.adapts else 3)


def weight_count(recipe: TrainingRecipe) -> int:
    """How many numbers the networks of a recipe are made of."""
    shape, backbone = image_shape(recipe.data), recipe.backbone
    return backbone.weight_count(shape) + recipe.algorithm.weight_count(backbone.features(shape), recipe.episode.way)


def disk_bytes(trial: PlannedTrial) -> int:
    """What a trial's folder takes in the end: its checkpoints, its weights, its scores. An estimate."""
    scores = sum(6 * each.episodes * (1 + (each.adaptation_steps or 0)) + 1000 for each in trial.evaluations)
    return 4 * weight_count(trial.recipe) * _WEIGHT_COPIES + scores + 50_000
