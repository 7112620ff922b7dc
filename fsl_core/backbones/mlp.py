"""The network without convolutions in MAML's Omniglot table. Finn et al. 2017, appendix A.1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch

from fsl_core.backbones.images import Images
from fsl_core.backbones.initialisation import backbone_draw, initial_head, initial_values, scale_draw
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.normalisation import BatchNorm
from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import MLP_WIDTHS as WIDTHS
from fsl_core.recipe.backbone_settings import MlpSettings


@dataclass(frozen=True)
class Mlp:
    """Four hidden layers, each with BatchNorm and ReLU; see :class:`fsl_core.backbones.backbone.Backbone`."""

    image_shape: tuple[int, int, int]
    settings: MlpSettings

    @property
    def features(self) -> int:
        """The dimension of an embedding."""
        return WIDTHS[-1]

    @property
    def norms(self) -> Mapping[str, int]:
        """The channels of each BatchNorm layer, by its name."""
        return {norm.name: norm.channels for norm in self._norms}

    @cached_property
    def _norms(self) -> tuple[BatchNorm, ...]:
        scale = scale_draw(self.settings)
        return tuple(
            BatchNorm(name=f"layers.{layer}.1", channels=width, settings=self.settings, scale_draw=scale)
            for layer, width in enumerate(WIDTHS)
        )

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis."""
        # Paper: no biases, as in Conv4.
        inputs, weights = (math.prod(self.image_shape), *WIDTHS), Weights()
        for layer, norm in enumerate(self._norms):
            shapes = {f"layers.{layer}.0.weight": (norm.channels, inputs[layer])}
            weights |= initial_values(shapes, stream, backbone_draw(self.settings)) | norm.initial_weights(stream)
        return weights

    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        """The initial ``weight`` ``[outputs, D]`` and ``bias`` ``[outputs]`` of a linear layer behind it, without a group axis."""
        return initial_head(self.settings, outputs, self.features, stream)

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        """Embed the images of each group as ``[G, B, D]``; also returns the statistics that BatchNorm normalised by."""
        hidden, used = images.pixels.flatten(2), Statistics()
        for layer, norm in enumerate(self._norms):
            summed = torch.bmm(hidden, weights[f"layers.{layer}.0.weight"].transpose(1, 2))
            given = None if statistics is None else statistics[norm.name]
            hidden, used[norm.name] = _rectified(summed, weights, norm, kernels, given)
        return hidden, used


def _rectified(
    summed: torch.Tensor, weights: Mapping[str, torch.Tensor], norm: BatchNorm, kernels: Kernels, given: LayerStatistics | None
) -> tuple[torch.Tensor, LayerStatistics]:
    """Normalise and rectify sums ``[G, B, F]``."""
    if given is not None:
        factor, constant = norm.as_affine(weights, given)
        return norm.rectify(summed * factor.unsqueeze(1) + constant.unsqueeze(1)), given
    groups = len(summed)
    maps = summed.transpose(0, 1).flatten(1)[:, :, None, None]
    out, statistics = norm.rectified(maps, weights, kernels)
    return torch.unflatten(out.flatten(1), 1, (groups, -1)).transpose(0, 1), statistics
