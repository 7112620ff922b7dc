"""What an algorithm asks of a backbone: first weights, and a pure function of weights and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from fsl_core.backbones.images import Images
from fsl_core.backbones.initialisation import Draw
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.randomness import Stream


class Backbone(Protocol):
    """An embedding network; it holds no weights."""

    @property
    def features(self) -> int:
        """Numbers in an embedding."""
        ...

    @property
    def norms(self) -> Mapping[str, int]:
        """Channels of each layer of BatchNorm, by its name."""
        ...

    @property
    def head_draw(self) -> Draw:
        """How a linear layer behind it is initialised."""
        ...

    def initial_weights(self, stream: Stream) -> Weights:
        """The first weights, without a group axis, each from the part of ``stream`` that has its name."""
        ...

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        """The images of each group to embeddings ``[G, B, D]`` by the group's weights ``[G, ...]``.

        BatchNorm normalises by ``statistics``, or where they are None by those of each group's own batch, which are returned in any
        case. Nothing else is read, and nothing is written.
        """
        ...
