"""Random images of a data set's shape: the cost of a step does not depend on their content, and nothing is downloaded."""

from __future__ import annotations

import torch

from fsl_core.datasets.extent import image_shape
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.recipe.recipe import TrainingRecipe

_CLASSES = {"omniglot": 1000, "mini_imagenet": 64}
_IMAGES = {"omniglot": 20, "mini_imagenet": 40}


def stand_in_bank(recipe: TrainingRecipe) -> ImageBank:
    """A bank with about as many classes as the data set's training split; with fewer photographs per class, to save memory."""
    dataset = recipe.data.dataset
    classes, images = _CLASSES[dataset], _IMAGES[dataset]
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (classes * images, *image_shape(recipe.data)), dtype=torch.uint8, generator=generator)
    sizes = torch.full((classes,), images)
    grey = torch.full(image_shape(recipe.data)[:1], 0.5) if recipe.data.normalise or recipe.data.black_on_white else None
    names = tuple(map(str, range(classes)))
    return ImageBank(pixels, sizes.cumsum(0) - sizes, sizes, names, recipe.data.rotations, grey, grey)
