"""How a backbone is computed, as opposed to what: the memory layout, and which form of each operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fsl_core.backbones.weights import channels_last

Layout = Literal["channels_last", "channels_first"]
Normalisation = Literal["fused", "plain"]
Convolution = Literal["grouped", "unfolded"]
Stem = Literal["patches", "reused_patches", "maps"]


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """One way to compute a backbone; all give the same mathematics in another order of rounding.

    ``layout`` orders maps and kernels in memory. ``normalisation``: BatchNorm, pooling and ReLU as one operation with its own first
    and second derivatives, or as torch's. ``convolution`` of groups: one grouped convolution, or one matrix product of a group's
    kernels and its unfolded maps. ``stem``: the first block on patches of the images, whose moments replace passes over its maps;
    on patches where images pass more than once, and on the maps of others; or always on the maps, as the other blocks.
    """

    layout: Layout = "channels_last"
    normalisation: Normalisation = "fused"
    convolution: Convolution = "grouped"
    stem: Stem = "patches"

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.layout == "channels_last" else torch.contiguous_format

    def fold(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[G, B, C, H, W]`` with a group's channels beside those of the others: ``[B, G * C, H, W]``."""
        folded = images.transpose(0, 1).flatten(1, 2)
        if self.layout == "channels_first":
            return folded.contiguous()
        # Written out, for torch takes a single channel to be first in memory, and lays the maps made of it out likewise.
        rows = torch.empty_like(folded.permute(0, 2, 3, 1), memory_format=torch.contiguous_format)
        return rows.copy_(folded.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def lay_out(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights ``[G, ...]`` in this layout."""
        return channels_last(weights) if self.layout == "channels_last" else weights.contiguous()

    def convolve(
        self, maps: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None = None, *, stride: int, padding: int
    ) -> torch.Tensor:
        """Maps ``[B, G * C, H, W]`` by the kernels ``[G, F, C, 3, 3]`` of each group: ``[B, G * F, h, w]``; ``bias`` is ``[G * F]``."""
        groups = len(weights)
        if self.convolution == "grouped" or groups == 1:
            kernels = weights.flatten(0, 1).contiguous(memory_format=self._format)
            return nn.functional.conv2d(maps, kernels, bias, stride=stride, padding=padding, groups=groups)
        convolved = _by_product(maps, weights, stride=stride, padding=padding)
        return convolved if bias is None else convolved + bias.view(1, -1, 1, 1)


def _by_product(maps: torch.Tensor, weights: torch.Tensor, *, stride: int, padding: int) -> torch.Tensor:
    groups, filters, channels = weights.shape[:3]
    size, _, height, width = maps.shape
    columns = nn.functional.unfold(maps, 3, padding=padding, stride=stride)
    columns = columns.reshape(size, groups, channels * 9, -1).permute(1, 2, 0, 3).flatten(2)
    products = torch.bmm(weights.flatten(2), columns).reshape(groups, filters, size, -1)
    sides = [(side + 2 * padding - 3) // stride + 1 for side in (height, width)]
    return products.permute(2, 0, 1, 3).reshape(size, groups * filters, *sides)
