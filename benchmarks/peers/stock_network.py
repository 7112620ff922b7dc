"""Conv-4 of torch's stock modules, used by every peer."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe


class StockBlock(nn.Module):
    """3x3 convolution with a bias, BatchNorm, ReLU, then a max-pool unless the convolution has strides."""

    def __init__(self, channels: int, settings: Conv4Settings) -> None:
        super().__init__()
        pools = settings.downsampling == "max_pool"
        self.conv = nn.Conv2d(channels, settings.filters, 3, padding=1, stride=1 if pools else 2)
        self.norm = nn.BatchNorm2d(settings.filters, track_running_stats=settings.batch_norm == "running")
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if pools else nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to ``[B, filters, H / 2, W / 2]``."""
        halved: torch.Tensor = self.pool(self.relu(self.norm(self.conv(images))))
        return halved


class StockNetwork(nn.Module):
    """Four blocks and, for MAML, a linear layer with an output for each of ``way`` classes; ``features`` are those before it.

    Raises:
        ValueError: if the recipe's backbone is not Conv-4.
    """

    def __init__(self, recipe: TrainingRecipe, image_shape: tuple[int, int, int], *, way: int | None = None) -> None:
        super().__init__()
        settings = recipe.backbone
        if not isinstance(settings, Conv4Settings):
            raise ValueError(f"the peers have no backbone {settings.name!r}, only 'conv4'")
        channels, height, width = image_shape
        self.blocks = nn.Sequential(*(StockBlock(count, settings) for count in (channels, *[settings.filters] * 3)))
        self.averages = settings.downsampling == "stride"
        self.features = settings.filters * (1 if self.averages else (height // 16) * (width // 16))
        self.head = nn.Identity() if way is None else nn.Linear(self.features, way)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, C, H, W]`` to embeddings ``[B, features]``, or to scores ``[B, way]`` with a last layer."""
        maps = self.blocks(images)
        answers: torch.Tensor = self.head(maps.mean(dim=(2, 3)) if self.averages else maps.flatten(1))
        return answers
