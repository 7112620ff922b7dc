"""The network without convolutions of MAML's Omniglot table. Finn et al. 2017, appendix A.1."""

from __future__ import annotations

import math

import torch
from torch import nn

from fsl_core.backbones.initialisation import backbone_draw
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import MlpSettings
from tests.fsl_core.plain_loop.batch_norm import batch_norm
from tests.fsl_core.plain_loop.initialisation import initialise, uninitialised

WIDTHS = (256, 128, 64, 64)


class Mlp(nn.Module):
    """Four hidden layers, each with BatchNorm and ReLU: images ``[B, C, H, W]`` to embeddings ``[B, 64]``."""

    features = WIDTHS[-1]

    def __init__(self, image_shape: tuple[int, int, int], settings: MlpSettings, *, stream: Stream) -> None:
        super().__init__()
        inputs = (math.prod(image_shape), *WIDTHS)
        # Paper: no biases, as in Conv4.
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    uninitialised(nn.Linear, before, after, bias=False),
                    batch_norm(nn.BatchNorm1d, after, settings),
                    nn.ReLU(),
                )
                for before, after in zip(inputs, WIDTHS, strict=False)
            )
        )
        initialise(self, stream=stream, draw=backbone_draw(settings))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, 64]``."""
        embedded: torch.Tensor = self.layers(torch.flatten(images, start_dim=1))
        return embedded
