"""Small pools of classes and banks of images; imports no scipy, which a machine with a GPU may lack."""

import torch

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.class_pool import ClassPool

TURNS = 4


def pool_of(*sizes: int, turns: int = 1) -> ClassPool:
    return ClassPool(torch.tensor(sizes), turns)


def a_bank(classes: int = 8, images: int = 6, *, rotations: bool = False) -> ImageBank:
    """Images whose every pixel says which class and image they are."""
    values = torch.arange(classes * images, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28).contiguous()
    starts, sizes = torch.arange(classes) * images, torch.full((classes,), images)
    return ImageBank(values, starts, sizes, tuple(f"class {c}" for c in range(classes)), rotations=rotations)
