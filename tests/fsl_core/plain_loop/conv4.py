"""Conv-4, the embedding network of the field's first papers."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.backbones.initialisation import backbone_draw
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import Conv4Settings
from tests.fsl_core.plain_loop.batch_norm import batch_norm
from tests.fsl_core.plain_loop.initialisation import initialise, uninitialised

BLOCKS = 4


class ConvBlock(nn.Module):
    """3x3 convolution, BatchNorm, ReLU, each side halved: ``[B, C, H, W]`` to ``[B, filters, H / 2, W / 2]``.

    With max-pooling an odd side is rounded down, with strides up.
    """

    def __init__(self, channels: int, settings: Conv4Settings) -> None:
        super().__init__()
        self.pools = settings.downsampling == "max_pool"
        stride = 1 if self.pools else 2
        self.pads_at_the_end = settings.padding == "same"
        # Paper: no bias. The BatchNorm that follows subtracts it again, so its gradient is exactly zero.
        padding = 0 if self.pads_at_the_end else 1
        self.conv = uninitialised(
            nn.Conv2d, channels, settings.filters, kernel_size=3, padding=padding, stride=stride, bias=False
        )
        # Paper: no text says which weights BatchNorm has, nor its epsilon. MAML's authors' code has a shift alone, and 1e-3.
        self.norm = batch_norm(nn.BatchNorm2d, settings.filters, settings)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, filters, H / 2, W / 2]``."""
        normalised = self.norm(self.conv(_padded_at_the_end(images) if self.pads_at_the_end else images))
        # Pooling first is the same function (ReLU is monotone) and leaves ReLU a quarter of the elements.
        return torch.relu(nn.functional.max_pool2d(normalised, 2) if self.pools else normalised)


def _padded_at_the_end(images: torch.Tensor) -> torch.Tensor:
    """Images padded as TensorFlow's "SAME" pads them for a 3x3 convolution of stride 2: an even side by a pixel at its end alone."""
    height, width = images.shape[-2:]
    return nn.functional.pad(images, (width % 2, 1, height % 2, 1))


class Conv4(nn.Module):
    """Four convolutional blocks: images ``[B, C, H, W]`` to embeddings ``[B, D]`` with ``D`` = :attr:`features`.

    With max-pooling ``D`` is ``filters`` for 28x28 images and ``25 * filters`` for 84x84 ones (Vinyals et al. 2016, section 4.1;
    Snell et al. 2017, section 3.1). With strides the last map is averaged over space and ``D`` is ``filters`` (Finn et al. 2017,
    appendix A.1 and the authors' code). The first weights are drawn from ``stream``.
    """

    def __init__(self, image_shape: tuple[int, int, int], settings: Conv4Settings, *, stream: Stream) -> None:
        super().__init__()
        channels, height, width = image_shape
        inputs = [channels, *[settings.filters] * (BLOCKS - 1)]
        self.blocks = nn.Sequential(*(ConvBlock(count, settings) for count in inputs))
        self.averages = settings.downsampling == "stride"
        self.features = settings.filters * (1 if self.averages else (height // 2**BLOCKS) * (width // 2**BLOCKS))
        initialise(self, stream=stream, draw=backbone_draw(settings))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, D]``."""
        maps: torch.Tensor = self.blocks(images)
        return maps.mean(dim=(2, 3)) if self.averages else torch.flatten(maps, start_dim=1)
