"""From a recipe to a network ready to train."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbones.conv4 import Conv4
from fsl_core.randomness import generator_at
from fsl_core.recipe import TrainingRecipe

ALGORITHMS: dict[str, type[PrototypicalNetworks]] = {"prototypical": PrototypicalNetworks}
"""Every algorithm, by the name that recipes use."""


def build_algorithm(recipe: TrainingRecipe, *, channels: int, stage: str, device: torch.device | str = "cpu") -> nn.Module:
    """The untrained algorithm of a recipe; ``stage`` names the stream that its first weights are drawn from.

    Weights are drawn on the CPU and then moved, so that they are the same on every device.
    """
    generator = generator_at(recipe.seed, f"{stage}/weights")
    backbone = Conv4(channels, recipe.backbone.filters, generator=generator)
    algorithm = ALGORITHMS[recipe.algorithm.name](backbone, recipe.algorithm)
    return algorithm.to(device).to(memory_format=torch.channels_last)
