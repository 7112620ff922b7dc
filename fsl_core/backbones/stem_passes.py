"""What the first block's fused operation needs of its images: their moments, and passes over all windows.

A window is the 2x2 places of a convolution that pooling reduces to one, or the single place of a convolution of stride 2. ``G`` counts the
groups of images, ``K = 9 C`` the numbers of the 3x3 patch around a place, ``F`` the kernels; the other letters are those of
:mod:`fsl_core.backbones.fused_stem`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Moments:
    """The mean ``[G, 1, K]`` and the covariance ``[G, K, K]``, float64, of the patches around all ``count`` places of a group.

    These include a last row and column of places that no window covers.
    """

    mean: torch.Tensor
    covariance: torch.Tensor
    count: int


@dataclass(frozen=True)
class Responses:
    """The first block's result ``out``, and ``places``: of each of its values, the place of the largest response in its window.

    Places are bytes; None if each window is a single place. Both have the shape that the passes themselves chose.
    """

    out: torch.Tensor
    places: torch.Tensor | None


class StemPasses(Protocol):
    """The passes over the windows of some images. Kernels are ``[G, K, F]``, other weights ``[G, F]``."""

    @property
    def moments(self) -> Moments:
        """The moments of the images' patches."""

    def forward(self, kernels: torch.Tensor, scale: torch.Tensor, factor: torch.Tensor, constant: torch.Tensor) -> Responses:
        """``relu(factor P w c + constant)`` for kernels ``w``.

        Where the scale is 0, all responses of a window are equal after scaling: its first place is chosen.
        """

    def backward(self, gradient: torch.Tensor, found: Responses) -> tuple[torch.Tensor, torch.Tensor]:
        """``sum d``, ``[G, F]``, and ``sum d P c``, ``[G, K, F]``, where ``d = 1[out > 0] gradient``; the gradient has the shape of out."""

    def double_backward(self, kernels: torch.Tensor, constant: torch.Tensor, found: Responses) -> torch.Tensor:
        """``1[out > 0] (P v c + constant)`` for kernels ``v``, in the shape of out."""

    def as_maps(self, out: torch.Tensor) -> torch.Tensor:
        """``out`` as maps ``[B, G * F, rows, columns]`` of channels-last layout; autograd differentiates it."""
