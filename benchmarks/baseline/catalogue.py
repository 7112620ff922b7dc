"""From a recipe to a network ready to train, as in commit 3b468da; its first weights are torch's."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.baseline.conv4 import Conv4
from benchmarks.baseline.maml import Maml
from benchmarks.baseline.matching import MatchingNetworks
from benchmarks.baseline.prototypical import PrototypicalNetworks
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe


def build_algorithm(recipe: TrainingRecipe, *, image_shape: tuple[int, int, int]) -> nn.Module:
    """The untrained algorithm of a recipe for images of ``image_shape`` ``(C, H, W)``: channels-last, whatever it is to compute.

    Raises:
        ValueError: if the recipe's backbone is not Conv-4.
    """
    if not isinstance(recipe.backbone, Conv4Settings):
        raise ValueError(f"the baseline has no backbone {recipe.backbone.name!r}, only 'conv4'")
    return _algorithm(recipe, Conv4(image_shape, recipe.backbone)).to(memory_format=torch.channels_last)


def _algorithm(recipe: TrainingRecipe, backbone: Conv4) -> nn.Module:
    settings = recipe.algorithm
    if isinstance(settings, MamlSettings):
        return Maml(backbone, settings, features=backbone.features, way=recipe.episode.way)
    if isinstance(settings, MatchingSettings):
        return MatchingNetworks(backbone, settings, features=backbone.features)
    return PrototypicalNetworks(backbone, settings)
