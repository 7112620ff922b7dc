"""How a backbone is computed: the memory layout and the form of each operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fsl_core.backbones.convolution import convolution
from fsl_core.backbones.weights import channels_last

Layout = Literal["channels_last", "channels_first"]
Normalisation = Literal["fused", "plain", "library"]
Convolution = Literal["grouped", "unfolded"]
Stem = Literal["patches", "reused_patches", "maps", "products", "loops"]

_PLACES_OF_AN_IMAGE = 64  # that fill a tile of a matrix product
_ALIGNED = 4  # a GPU multiplies matrices fast only if their rows have a multiple of this many numbers


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """One way to compute a backbone; all compute the same function and differ only in rounding.

    ``layout``: the order of maps and kernels in memory. ``normalisation``: BatchNorm, pooling and ReLU as one operation with its own
    first and second derivatives (``fused``), as elementwise operations and sums (``plain``), or with torch's own BatchNorm, which is that
    of cuDNN on CUDA (``library``). ``convolution``: one grouped convolution, or matrix products of a group's kernels and its unfolded
    maps. ``stem``: the first block on image patches, whose moments replace passes over its maps (``patches``); on patches only for images
    embedded more than once (``reused_patches``); always on its ``maps``; on maps that are products of patches and kernels, as an image's
    few channels leave most of a GPU's convolution idle (``products``); or, on a CPU, by compiled ``loops`` over images of one channel,
    which need neither patches nor maps, and on maps for other images.
    """

    layout: Layout = "channels_last"
    normalisation: Normalisation = "fused"
    convolution: Convolution = "grouped"
    stem: Stem = "patches"

    def fuses_stem(self, *, channels: int, reused: bool) -> bool:
        """Whether the first block is one operation, for images of so many channels that are embedded once or are ``reused``."""
        return {"patches": True, "reused_patches": reused, "loops": channels == 1}.get(self.stem, False)

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format

    def fold(self, images: torch.Tensor) -> torch.Tensor:
        """Move the groups of images ``[G, B, C, H, W]`` into the channels: ``[B, G * C, H, W]``."""
        folded = images.transpose(0, 1).flatten(1, 2)
        if self.layout == "channels_first":
            return folded.contiguous()
        # Written out: torch treats a single channel as channels-first, and so lays out the maps computed from it.
        rows = torch.empty_like(folded.permute(0, 2, 3, 1), memory_format=torch.contiguous_format)
        return rows.copy_(folded.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def lay_out(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights ``[G, ...]`` in this layout."""
        return channels_last(weights) if self.layout == "channels_last" else weights.contiguous()

    def convolve(
        self, maps: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None = None, *, stride: int, padding: int
    ) -> torch.Tensor:
        """Convolve maps ``[B, G * C, H, W]`` with each group's ``[G, F, C, 3, 3]`` kernels: ``[B, G * F, h, w]``; bias ``[G * F]``."""
        groups = len(weights)
        if self.convolution == "grouped" or groups == 1:
            kernels = weights.flatten(0, 1).contiguous(memory_format=self._format)
            if bias is None:
                return convolution(maps, kernels, stride=stride, padding=padding, groups=groups)
            return nn.functional.conv2d(maps, kernels, bias, stride=stride, padding=padding, groups=groups)
        convolved = _by_products(maps, weights, stride=stride, padding=padding)
        return convolved if bias is None else convolved + bias.view(1, -1, 1, 1)

    def convolve_images(
        self, images: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None = None, *, stride: int, padding: int
    ) -> torch.Tensor:
        """:meth:`convolve` for the first block: images need no gradient, so that on ``products`` each call unfolds them by one copy."""
        if self.stem != "products":
            return self.convolve(images, weights, bias, stride=stride, padding=padding)
        convolved = self._of_patches(_windows(images, len(weights), stride=stride, padding=padding), weights)
        return convolved if bias is None else convolved + bias.view(1, -1, 1, 1)

    def _of_patches(self, windows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The products of each image's windows ``[B, G, C, h, w, 3, 3]`` and its group's kernels, in this layout."""
        size, groups, _, height, width = windows.shape[:5]
        kernels = weights.flatten(2)
        if self.layout == "channels_first":
            columns = windows.permute(0, 1, 2, 5, 6, 3, 4).reshape(size * groups, kernels.shape[2], -1)
            products = torch.bmm(kernels.expand(size, -1, -1, -1).flatten(0, 1), columns)
            return products.reshape(size, -1, height, width)
        numbers = kernels.shape[2]
        missing = -numbers % _ALIGNED
        rows = windows.new_empty(size, groups, height, width, numbers + missing)
        rows[..., numbers:].zero_()
        # A split of an axis is always a view, so that a compiled graph, which has reshape in place of view, writes to the rows too.
        torch.unflatten(rows[..., :numbers], -1, (-1, 3, 3)).copy_(windows.permute(0, 1, 3, 4, 2, 5, 6))
        aligned = nn.functional.pad(kernels, (0, missing)).mT.expand(size, -1, -1, -1)
        products = torch.bmm(rows.flatten(2, 3).flatten(0, 1), aligned.flatten(0, 1))
        return products.reshape(size, groups, height, width, -1).permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)


def _windows(images: torch.Tensor, groups: int, *, stride: int, padding: int) -> torch.Tensor:
    """The 3x3 windows of images ``[B, G * C, H, W]``: a view of the padded images ``[B, G, C, h, w, 3, 3]``."""
    padded = nn.functional.pad(images, (padding,) * 4) if padding else images
    windows: torch.Tensor = torch.unflatten(padded, 1, (groups, -1)).unfold(3, 3, stride).unfold(4, 3, stride)
    return windows


def _by_products(maps: torch.Tensor, weights: torch.Tensor, *, stride: int, padding: int) -> torch.Tensor:
    groups, filters, channels = weights.shape[:3]
    size, _, height, width = maps.shape
    sides = [(side + 2 * padding - 3) // stride + 1 for side in (height, width)]
    columns = nn.functional.unfold(maps, 3, padding=padding, stride=stride).reshape(size, groups, channels * 9, -1)
    if groups < size and columns.shape[3] >= _PLACES_OF_AN_IMAGE:
        # A product for each image: few long ones leave most of a GPU idle, above all in the gradient of the kernels, a sum over all places.
        of_images = weights.flatten(2).expand(size, -1, -1, -1).flatten(0, 1)
        return torch.bmm(of_images, columns.flatten(0, 1)).reshape(size, groups * filters, *sides)
    products = torch.bmm(weights.flatten(2), columns.permute(1, 2, 0, 3).flatten(2)).reshape(groups, filters, size, -1)
    return products.permute(2, 0, 1, 3).reshape(size, groups * filters, *sides)
