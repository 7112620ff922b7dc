"""From a recipe to a network ready to train."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.backbones.initialisation import head_draw
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe
from tests.fsl_core.plain_loop.anil import Anil
from tests.fsl_core.plain_loop.conv4 import Conv4
from tests.fsl_core.plain_loop.initialisation import check_initialised
from tests.fsl_core.plain_loop.maml import Maml
from tests.fsl_core.plain_loop.matching import MatchingNetworks
from tests.fsl_core.plain_loop.mlp import Mlp
from tests.fsl_core.plain_loop.prototypical import PrototypicalNetworks


def build_algorithm(
    recipe: TrainingRecipe, *, image_shape: tuple[int, int, int], stage: str, device: torch.device | str = "cpu"
) -> nn.Module:
    """The untrained algorithm of a recipe for images of ``image_shape`` ``(C, H, W)``.

    ``stage`` names the stream that its first weights are drawn from. They are drawn on the CPU and then moved, so that they are the
    same on every device.

    Raises:
        AssertionError: if a layer of the network has weights that nothing gives their first values.
    """
    algorithm = _algorithm(recipe, image_shape, Stream(recipe.seed, f"{stage}/weights"))
    check_initialised(algorithm)
    return algorithm.to(device).to(memory_format=torch.channels_last)


def _algorithm(recipe: TrainingRecipe, image_shape: tuple[int, int, int], stream: Stream) -> nn.Module:
    backbone = _backbone(recipe, image_shape, stream.within("backbone"))
    settings = recipe.algorithm
    if isinstance(settings, MamlSettings | AnilSettings):
        way, draw, kind = recipe.episode.way, head_draw(recipe.backbone), Maml if isinstance(settings, MamlSettings) else Anil
        return kind(backbone, settings, features=backbone.features, way=way, stream=stream, draw=draw)
    if isinstance(settings, MatchingSettings):
        return MatchingNetworks(backbone, settings, features=backbone.features, stream=stream)
    return PrototypicalNetworks(backbone, settings)


def _backbone(recipe: TrainingRecipe, image_shape: tuple[int, int, int], stream: Stream) -> Conv4 | Mlp:
    assert recipe.backbone.initialisation != "pytorch_2018", "scales start at 1 here"  # type: ignore[attr-defined]
    if isinstance(recipe.backbone, Conv4Settings):
        return Conv4(image_shape, recipe.backbone, stream=stream)
    return Mlp(image_shape, recipe.backbone, stream=stream)
