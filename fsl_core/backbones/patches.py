"""The 3x3 patches of images and their first two moments, which determine the first block's convolution and BatchNorm.

An image has few channels, so that a patch has few numbers; a map of it has many channels. The statistics of a convolution's maps follow
from the moments of the patches, whatever the kernels: with ``c`` a patch and ``w`` a kernel, the mean of ``w c`` is ``w mean(c)`` and its
variance ``w cov(c) w``. MAML computes them once for all its adaptation steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from fsl_core.backbones.stem_passes import Moments

_PLACES_AT_ONCE = 2048  # whose patches in float64 fit the second-level cache of a CPU's core


@dataclass(frozen=True)
class Patches:
    """The patches around the places that a convolution visits, ``K = 9 C`` numbers each, of ``G`` groups of ``B`` images.

    ``parts``: each ``[G, K, B * rows * columns]``; one for a convolution of stride 2, otherwise four: the places of 2x2 windows in the
    order of pooling. ``moments``: of all places, including those outside the windows.
    """

    parts: tuple[torch.Tensor, ...]
    moments: Moments
    images: int
    rows: int
    columns: int


def patches_of(images: torch.Tensor, *, pools: bool, pads_evenly: bool) -> Patches:
    """The patches of images ``[G, B, C, H, W]`` for windows of 2x2 places, or for a convolution of stride 2.

    They are padded as :func:`padded_images` does.
    """
    size, height, width = len(images[0]), *images.shape[-2:]
    padded = padded_images(images, evenly=pads_evenly)
    if not pools:
        rows, columns = (range(0, side - 2, 2) for side in padded.shape[-2:])
        parts: tuple[torch.Tensor, ...] = (_gathered(padded, rows, columns),)
        return Patches(parts, _moments(parts), size, len(rows), len(columns))
    rows, columns = range(0, height // 2 * 2, 2), range(0, width // 2 * 2, 2)
    parts = tuple(_gathered(padded, _moved(rows, down), _moved(columns, right)) for down in range(2) for right in range(2))
    covers = height % 2 == width % 2 == 0
    everywhere = parts if covers else (_gathered(padded, range(height), range(width)),)
    return Patches(parts, _moments(everywhere), size, len(rows), len(columns))


def padded_images(images: torch.Tensor, *, evenly: bool) -> torch.Tensor:
    """Images ``[..., H, W]`` with a pixel of zeros on every side or, as TensorFlow's "SAME" does for stride 2, only after an even side."""
    height, width = images.shape[-2:]
    before = (1, 1) if evenly else (width % 2, height % 2)
    return nn.functional.pad(images, (before[0], 1, before[1], 1))


def _moved(places: range, by: int) -> range:
    return range(places.start + by, places.stop + by, places.step)


def _gathered(padded: torch.Tensor, rows: range, columns: range) -> torch.Tensor:
    """The patches whose first pixels are at these rows and columns: ``[G, K, B * rows * columns]``."""
    groups, size, channels = padded.shape[:3]
    patches = padded.new_empty(groups, channels, 3, 3, size, len(rows), len(columns))
    for down in range(3):
        for right in range(3):
            pixels = padded[:, :, :, _slice(_moved(rows, down)), _slice(_moved(columns, right))]
            patches[:, :, down, right] = pixels.transpose(1, 2)
    return patches.reshape(groups, channels * 9, -1)


def _slice(places: range) -> slice:
    return slice(places.start, places.stop, places.step)


def _moments(parts: tuple[torch.Tensor, ...]) -> Moments:
    """The moments of all patches in these parts."""
    # In float64: neighbouring pixels are so similar that the variance along some kernels is a small difference of large numbers.
    count = sum(part.shape[2] for part in parts)
    groups, numbers = parts[0].shape[:2]
    total = parts[0].new_zeros(groups, numbers, 1, dtype=torch.float64)
    products = parts[0].new_zeros(groups, numbers, numbers, dtype=torch.float64)
    for part in parts:
        for some in torch.split(part, _PLACES_AT_ONCE if part.device.type == "cpu" else part.shape[2], dim=2):
            exact = some.double()
            total += exact.sum(dim=2, keepdim=True)
            products.baddbmm_(exact, exact.transpose(1, 2))
    mean = total / count
    return Moments(mean=mean.transpose(1, 2), covariance=products / count - mean * mean.transpose(1, 2), count=count)
