"""The interface of backbones: initial weights, and a pure function of weights and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.randomness import Stream


class Backbone(Protocol):
    """An embedding network; it holds no weights."""

    @property
    def features(self) -> int:
        """The dimension of an embedding."""
        ...

    @property
    def norms(self) -> Mapping[str, int]:
        """The channels of each BatchNorm layer, by its name."""
        ...

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis, each sampled from the part of ``stream`` that has its name."""
        ...

    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        """The initial ``weight`` ``[outputs, D]`` and ``bias`` ``[outputs]`` of a linear layer behind it, without a group axis."""
        ...

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        """Embed the images of each group as ``[G, B, D]`` with the group's weights ``[G, ...]``.

        BatchNorm normalises by ``statistics`` or, if they are None, by those of each group's own batch. The statistics used are
        returned. The function is pure: it reads only its arguments and writes nothing. What is random in training comes from
        :meth:`fsl_core.backbones.images.Images.uniform`.
        """
        ...
