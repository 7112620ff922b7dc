"""BatchNorm, pooling and ReLU of maps in which each group has its own channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from fsl_core.backbones.fused_norm import by_channel, fused_norm, pooled_by_sign
from fsl_core.backbones.initialisation import Draw, initial_values, ones
from fsl_core.backbones.kernels import Kernels, Normalisation
from fsl_core.backbones.weights import LayerStatistics, Weights
from fsl_core.randomness import Stream


class NormSettings(Protocol):
    """The BatchNorm settings of a backbone; see :class:`fsl_core.recipe.backbone_settings.Conv4Settings`."""

    @property
    def batch_norm_scale(self) -> bool:
        """Whether it learns a scale beside its shift."""
        ...

    @property
    def batch_norm_epsilon(self) -> float:
        """The number added to the variance."""
        ...


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """A BatchNorm layer with a shift and perhaps a scale, followed by ReLU and, with ``pools``, by 2x2 max-pooling.

    Its scales ``<name>.weight`` ``[G, F]`` start as ``scale_draw`` samples them, at 1 by default, and its shifts ``<name>.bias`` at 0.
    """

    name: str
    channels: int
    settings: NormSettings
    pools: bool = False
    scale_draw: Draw = ones

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis."""
        weights: Weights = {f"{self.name}.bias": torch.zeros(self.channels)}
        if self.settings.batch_norm_scale:
            weights |= initial_values({f"{self.name}.weight": (self.channels,)}, stream, self.scale_draw)
        return weights

    def rectified(
        self, maps: torch.Tensor, weights: Mapping[str, torch.Tensor], kernels: Kernels
    ) -> tuple[torch.Tensor, LayerStatistics]:
        """Normalise maps ``[B, G * F, H, W]`` by the batch's statistics, pool and rectify; also returns the statistics."""
        shift = weights[f"{self.name}.bias"]
        scale = weights.get(f"{self.name}.weight", torch.ones_like(shift))
        out, mean, variance = _FORMS[kernels.normalisation](
            maps, scale.flatten(), shift.flatten(), epsilon=self.settings.batch_norm_epsilon, pools=self.pools
        )
        count = maps.numel() // maps.shape[1]
        return out, LayerStatistics(mean=mean.view_as(shift), variance=variance.view_as(shift), count=count)

    def as_affine(self, weights: Mapping[str, torch.Tensor], statistics: LayerStatistics) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalisation by given statistics as a factor and a constant, each ``[G, F]``."""
        shift = weights[f"{self.name}.bias"]
        factor = torch.rsqrt(statistics.variance + self.settings.batch_norm_epsilon)
        if self.settings.batch_norm_scale:
            factor = factor * weights[f"{self.name}.weight"]
        return factor, shift - statistics.mean * factor

    def rectify(self, normalised: torch.Tensor) -> torch.Tensor:
        """Pool, if the layer pools, and rectify."""
        # Pooling first gives the same result (ReLU is monotone) and leaves ReLU a quarter of the elements.
        return torch.relu(nn.functional.max_pool2d(normalised, 2) if self.pools else normalised)


def _plain_norm(
    maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float, pools: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    variance, mean = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
    factor = scale * torch.rsqrt(variance + epsilon)
    # Normalised after pooling, so that the first gradient's sums are over pooled maps. The compiler fuses the gradient of pooling into sums
    # over the maps themselves, and leaves each channel's sum to a single block of a GPU, which then takes most of a step.
    chosen = pooled_by_sign(maps, by_channel(scale.detach().sign()))[0] if pools else maps
    return torch.relu(chosen * by_channel(factor) + by_channel(shift - mean * factor)), mean.detach(), variance.detach()


def _library_norm(
    maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, epsilon: float, pools: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    count, used = maps.numel() // maps.shape[1], maps.new_zeros(2, maps.shape[1])
    # With a momentum of 1 the running statistics are those of this batch; their variance is the unbiased one.
    normalised = torch.batch_norm(maps, scale, shift, used[0], used[1], True, 1.0, epsilon, torch.backends.cudnn.enabled)
    pooled = nn.functional.max_pool2d(normalised, 2) if pools else normalised
    variance = used[1] * ((count - 1) / count) if count > 1 else torch.zeros_like(used[1])
    return torch.relu(pooled), used[0], variance


_FORMS: Mapping[Normalisation, Callable[..., tuple[torch.Tensor, torch.Tensor, torch.Tensor]]] = {
    "fused": fused_norm,
    "plain": _plain_norm,
    "library": _library_norm,
}
