"""Conv-4 as in commit 3b468da, word for word but for its first weights, which are torch's."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.recipe.backbone_settings import Conv4Settings

BLOCKS = 4


class ConvBlock(nn.Module):
    """3x3 convolution, BatchNorm, ReLU, each side halved: ``[B, C, H, W]`` to ``[B, filters, H / 2, W / 2]``.

    With max-pooling an odd side is rounded down, with strides up.
    """

    def __init__(self, channels: int, settings: Conv4Settings) -> None:
        super().__init__()
        self.pools = settings.downsampling == "max_pool"
        stride = 1 if self.pools else 2
        # Paper: no bias. The BatchNorm that follows subtracts it again, so its gradient is exactly zero.
        self.conv = nn.Conv2d(channels, settings.filters, kernel_size=3, padding=1, stride=stride, bias=False)
        # Paper: no text says which weights BatchNorm has. These are a scale and a shift; MAML's authors' code has the shift alone.
        self.norm = nn.BatchNorm2d(settings.filters, track_running_stats=settings.batch_norm == "running")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, filters, H / 2, W / 2]``."""
        normalised = self.norm(self.conv(images))
        # Pooling first is the same function (ReLU is monotone) and leaves ReLU a quarter of the elements.
        return torch.relu(nn.functional.max_pool2d(normalised, 2) if self.pools else normalised)


class Conv4(nn.Module):
    """Four convolutional blocks: images ``[B, C, H, W]`` to embeddings ``[B, D]`` with ``D`` = :attr:`features`.

    With max-pooling ``D`` is ``filters`` for 28x28 images and ``25 * filters`` for 84x84 ones (Vinyals et al. 2016, section 4.1;
    Snell et al. 2017, section 3.1). With strides the last map is averaged over space and ``D`` is ``filters`` (Finn et al. 2017,
    appendix A.1 and the authors' code).
    """

    def __init__(self, image_shape: tuple[int, int, int], settings: Conv4Settings) -> None:
        super().__init__()
        channels, height, width = image_shape
        inputs = [channels, *[settings.filters] * (BLOCKS - 1)]
        self.blocks = nn.Sequential(*(ConvBlock(count, settings) for count in inputs))
        self.averages = settings.downsampling == "stride"
        self.features = settings.filters * (1 if self.averages else (height // 2**BLOCKS) * (width // 2**BLOCKS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, D]``."""
        maps: torch.Tensor = self.blocks(images)
        return maps.mean(dim=(2, 3)) if self.averages else torch.flatten(maps, start_dim=1)
