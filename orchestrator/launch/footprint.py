"""What a trial takes up beside time: the memory of its process, the disk of its folder. Estimates."""

from __future__ import annotations

from itertools import pairwise

from fsl_core.datasets.extent import IMAGE_SHAPES
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
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
    image_shape = IMAGE_SHAPES[recipe.data.dataset]
    training = episode_bytes(recipe, image_shape) * most_episodes_at_once(recipe, image_shape)
    filters = recipe.backbone.filters if isinstance(recipe.backbone, Conv4Settings) else 1
    weights = 4 * weight_count(recipe) * 5  # gradients, two Adam moments and the best weights beside the weights themselves
    scoring = 0.0
    if not isinstance(recipe.algorithm, MamlSettings):
        scoring = _SCORING_PIXELS * filters * _SCORING_BYTES + _SCORES_BYTES
    return round(_PROCESS_BYTES + weights + max(training, scoring))


def weight_count(recipe: TrainingRecipe) -> int:
    """How many numbers the networks of a recipe are made of."""
    channels, side, _ = IMAGE_SHAPES[recipe.data.dataset]
    norm = 2 if recipe.backbone.batch_norm_scale else 1  # weights of BatchNorm for each channel
    if isinstance(recipe.backbone, Conv4Settings):
        filters = recipe.backbone.filters
        count, features = 9 * filters * (channels + 3 * filters) + 4 * filters * norm, filters * max(1, side // 16) ** 2
        features = filters if recipe.backbone.downsampling == "stride" else features
    else:
        widths = (channels * side**2, 256, 128, 64, 64)
        count, features = sum(before * after + norm * after for before, after in pairwise(widths)), 64
    if isinstance(recipe.algorithm, MamlSettings):
        count += (features + 1) * recipe.episode.way
    elif isinstance(recipe.algorithm, MatchingSettings):
        count += recipe.algorithm.learn_scale
    if isinstance(recipe.algorithm, MatchingSettings) and recipe.algorithm.fce:
        count += 2 * 4 * features * (2 * features + 2) + 4 * features * (3 * features + 2)  # the two LSTMs
    return count


def disk_bytes(trial: PlannedTrial) -> int:
    """What a trial's folder takes in the end: its checkpoints, its weights, its scores. An estimate."""
    scores = sum(6 * each.episodes * (1 + (each.adaptation_steps or 0)) + 1000 for each in trial.evaluations)
    return 4 * weight_count(trial.recipe) * _WEIGHT_COPIES + scores + 50_000
