"""Conv-4, the embedding network of the field's first papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from fsl_core.backbones.fused_stem import fused_stem
from fsl_core.backbones.images import Images
from fsl_core.backbones.initialisation import backbone_draw, initial_head, initial_values, scale_draw
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.normalisation import BatchNorm
from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import CONV4_BLOCKS as BLOCKS
from fsl_core.recipe.backbone_settings import Conv4Settings


@dataclass(frozen=True)
class Conv4:
    """Four blocks of 3x3 convolution, BatchNorm and ReLU, each halving the sides of its maps.

    Max-pooling rounds odd sides down; ``D`` is ``filters`` for 28x28 images and ``25 * filters`` for 84x84 images (Vinyals et al. 2016,
    section 4.1; Snell et al. 2017, section 3.1). Strides round them up and average the last maps over space; ``D`` is ``filters``
    (Finn et al. 2017, appendix A.1 and the authors' code). See :class:`fsl_core.backbones.backbone.Backbone`.
    """

    image_shape: tuple[int, int, int]
    settings: Conv4Settings

    @property
    def features(self) -> int:
        """The dimension of an embedding, ``D``."""
        return self.settings.features(self.image_shape)

    @property
    def norms(self) -> Mapping[str, int]:
        """The channels of each BatchNorm layer, by its name."""
        return {norm.name: norm.channels for norm in self._norms}

    @property
    def _averages(self) -> bool:
        return self.settings.downsampling == "stride"

    @cached_property
    def _norms(self) -> tuple[BatchNorm, ...]:
        # Paper: no paper states BatchNorm's weights or its epsilon. MAML's authors' code has only a shift, and 1e-3.
        filters, pools = self.settings.filters, not self._averages
        names = [f"blocks.{block}.norm" for block in range(BLOCKS)]
        scale = scale_draw(self.settings)
        return tuple(
            BatchNorm(name=name, channels=filters, settings=self.settings, pools=pools, scale_draw=scale) for name in names
        )

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis."""
        # Paper: no bias. The following BatchNorm subtracts it again, so its gradient is exactly zero.
        filters, channels, weights = self.settings.filters, self.image_shape[0], Weights()
        for block, norm in enumerate(self._norms):
            shape = (filters, filters if block else channels, 3, 3)
            weights |= initial_values({f"blocks.{block}.conv.weight": shape}, stream, backbone_draw(self.settings))
            weights |= norm.initial_weights(stream)
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
        used, first = Statistics(), self._norms[0]
        fuses = statistics is None and kernels.fuses_stem(channels=self.image_shape[0], reused=images.reused)
        if fuses:
            maps, used[first.name] = self._stem(images, weights, first, kernels)
        else:
            maps = kernels.fold(images.pixels)
        for block, norm in list(enumerate(self._norms))[int(fuses) :]:
            given = None if statistics is None else statistics[norm.name]
            maps, used[norm.name] = self._block(maps, weights, f"blocks.{block}.conv.weight", norm, kernels=kernels, given=given)
        of_groups = torch.unflatten(maps, 1, (images.groups, -1)).transpose(0, 1)
        return of_groups.mean((3, 4)) if self._averages else of_groups.flatten(2), used

    def _stem(
        self, images: Images, weights: Mapping[str, torch.Tensor], norm: BatchNorm, kernels: Kernels
    ) -> tuple[torch.Tensor, LayerStatistics]:
        """Compute the first block as one operation: ``[B, G * F, rows, columns]``."""
        pads_evenly = self.settings.padding == "symmetric"
        passes = images.passes(pools=not self._averages, pads_evenly=pads_evenly, loops=kernels.stem == "loops")
        shift, own = weights[f"{norm.name}.bias"], weights["blocks.0.conv.weight"].flatten(2)
        scale = weights.get(f"{norm.name}.weight", torch.ones_like(shift))
        maps, mean, variance = fused_stem(passes, own, scale, shift, epsilon=self.settings.batch_norm_epsilon)
        laid_out = maps if kernels.layout == "channels_last" else maps.contiguous()
        return laid_out, LayerStatistics(mean=mean, variance=variance, count=passes.moments.count)

    def _block(
        self,
        maps: torch.Tensor,
        weights: Mapping[str, torch.Tensor],
        name: str,
        norm: BatchNorm,
        *,
        kernels: Kernels,
        given: LayerStatistics | None,
    ) -> tuple[torch.Tensor, LayerStatistics]:
        stride = 2 if self._averages else 1
        padded, padding = self._padded(maps)
        convolve = kernels.convolve_images if norm is self._norms[0] else kernels.convolve
        if given is None:
            return norm.rectified(convolve(padded, weights[name], stride=stride, padding=padding), weights, kernels)
        factor, constant = norm.as_affine(weights, given)  # folded into the kernels, which saves a pass over the maps
        scaled = weights[name] * factor[:, :, None, None, None]
        return norm.rectify(convolve(padded, scaled, constant.flatten(), stride=stride, padding=padding)), given

    def _padded(self, maps: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The maps, and the padding that the convolution must add."""
        if self.settings.padding == "symmetric":
            return maps, 1
        # TensorFlow's "SAME" for a 3x3 convolution of stride 2 pads an even side by a pixel at its end
        height, width = maps.shape[-2:]
        return nn.functional.pad(maps, (width % 2, 1, height % 2, 1)), 0
