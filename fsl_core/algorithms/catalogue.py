"""From a recipe to the algorithm that it trains."""

from __future__ import annotations

from fsl_core.algorithms.algorithm import Algorithm
from fsl_core.algorithms.maml import Maml
from fsl_core.algorithms.matching import MatchingNetworks
from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.mlp import Mlp
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe


def build_algorithm(recipe: TrainingRecipe, *, image_shape: tuple[int, int, int]) -> Algorithm:
    """The algorithm of a recipe for images of ``image_shape`` ``(C, H, W)``; it holds no weights."""
    backbone, settings = build_backbone(recipe.backbone, image_shape), recipe.algorithm
    if isinstance(settings, MamlSettings):
        return Maml(backbone, settings, way=recipe.episode.way)
    if isinstance(settings, MatchingSettings):
        return MatchingNetworks(backbone, settings)
    return PrototypicalNetworks(backbone, settings)


def build_backbone(settings: BackboneSettings, image_shape: tuple[int, int, int]) -> Backbone:
    """The backbone of these settings for images of ``image_shape`` ``(C, H, W)``; it holds no weights."""
    return Conv4(image_shape, settings) if isinstance(settings, Conv4Settings) else Mlp(image_shape, settings)
