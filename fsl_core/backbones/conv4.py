"""Conv-4, the embedding network of the field's first papers."""

from __future__ import annotations

import math

import torch
from torch import nn


class ConvBlock(nn.Module):
    """3x3 convolution, BatchNorm, ReLU, 2x2 max-pool: ``[B, C, H, W]`` to ``[B, filters, H // 2, W // 2]``."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        # Paper: no bias. The BatchNorm that follows subtracts it again, so its gradient is exactly zero.
        self.conv = nn.Conv2d(channels, filters, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, filters, H // 2, W // 2]``."""
        # Pooling first is the same function (ReLU is monotone) and leaves ReLU a quarter of the elements.
        return torch.relu(nn.functional.max_pool2d(self.norm(self.conv(images)), 2))


class Conv4(nn.Module):
    """Four convolutional blocks: images ``[B, C, H, W]`` to embeddings ``[B, D]``.

    ``D`` is ``filters`` for 28x28 images and ``25 * filters`` for 84x84 ones (Vinyals et al. 2016, section 4.1; Snell et al. 2017,
    section 3.1). The convolutions' weights are drawn from ``generator``, uniform within one over the root of the fan-in.
    """

    def __init__(self, channels: int, filters: int = 64, *, generator: torch.Generator) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ConvBlock(channels if depth == 0 else filters, filters) for depth in range(4)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # Paper: none states its initialisation. This is the width of PyTorch's default, drawn from our own stream.
                bound = 1 / math.sqrt(module.in_channels * 9)
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, D]``."""
        return torch.flatten(self.blocks(images), start_dim=1)
