"""ResNet-12 in the textbook's order of operations, as Lee et al. 2019 have it."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.backbones.resnet12 import ResNet12Settings, normal_by_fan_out
from fsl_core.randomness import Stream
from tests.fsl_core.plain_loop.batch_norm import batch_norm
from tests.fsl_core.plain_loop.initialisation import initialise, uninitialised

SLOPE = 0.1


class Normalised(nn.Module):
    """A convolution without bias that keeps the sides of its maps, and BatchNorm."""

    def __init__(self, inputs: int, width: int, side: int, settings: ResNet12Settings) -> None:
        super().__init__()
        self.conv = uninitialised(nn.Conv2d, inputs, width, kernel_size=side, padding=side // 2, bias=False)
        self.norm = batch_norm(nn.BatchNorm2d, width, settings)  # type: ignore[arg-type]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        normalised: torch.Tensor = self.norm(self.conv(maps))
        return normalised


class Block(nn.Sequential):
    """Three convolutions beside a shortcut, then LeakyReLU and a 2x2 max-pool."""

    def __init__(self, inputs: int, width: int, settings: ResNet12Settings) -> None:
        super().__init__(*(Normalised(before, width, 3, settings) for before in (inputs, width, width)))
        self.shortcut = Normalised(inputs, width, 1, settings)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        inner = nn.functional.leaky_relu(self[0](maps), SLOPE)
        inner = nn.functional.leaky_relu(self[1](inner), SLOPE)
        rectified = nn.functional.leaky_relu(self[2](inner) + self.shortcut(maps), SLOPE)
        return nn.functional.max_pool2d(rectified, 2)


class ResNet12(nn.Module):
    """Images ``[B, C, H, W]`` to embeddings ``[B, D]``."""

    def __init__(self, image_shape: tuple[int, int, int], settings: ResNet12Settings, *, stream: Stream) -> None:
        super().__init__()
        inputs = (image_shape[0], *settings.widths)
        self.blocks = nn.Sequential(*(Block(inputs[each], width, settings) for each, width in enumerate(settings.widths)))
        self.features = settings.widths[-1]
        initialise(self, stream=stream, draw=normal_by_fan_out)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.blocks(images)
        return maps.mean((2, 3))
