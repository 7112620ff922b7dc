"""Random images instead of a data set, to measure computation time without reading or preparing images."""

from __future__ import annotations

import torch

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.randomness import Stream, uniform


def stand_in_bank(shape: EpisodeShape, image_shape: tuple[int, int, int], device: torch.device | str) -> ImageBank:
    """A bank of just enough random images ``(C, H, W)`` for episodes of ``shape``, on ``device``."""
    images = noise(shape.way * shape.images_per_class, *image_shape, device=device, below=256, dtype=torch.uint8)
    sizes = torch.full((shape.way,), shape.images_per_class, device=device)
    return ImageBank(images, sizes.cumsum(0) - sizes, sizes, tuple(map(str, range(shape.way))), rotations=False)


def noise(*shape: int, device: torch.device | str, below: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Uniform values from 0 to ``below``, the same at every call."""
    return (uniform(Stream(0, "probe/noise").key, shape) * below).to(dtype).to(device)
