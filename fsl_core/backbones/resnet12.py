"""ResNet-12, the residual network of few-shot papers since 2018: its settings, and the function that they describe.

Oreshkin et al. 2018 (TADAM, arXiv 1805.10123) and Lee et al. 2019 (MetaOptNet, arXiv 1904.03758, section 4.1). torch is imported where
images are embedded, so that planning a sweep does not load it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth
from fsl_core.errors import SettingError
from fsl_core.recipe.backbone_settings import BackboneSettings, BatchNormStatistics, Conv4Settings, ImageShape
from fsl_core.recipe.setting import setting

if TYPE_CHECKING:
    import torch

    from fsl_core.backbones.images import Images
    from fsl_core.backbones.kernels import Kernels
    from fsl_core.backbones.normalisation import BatchNorm
    from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights
    from fsl_core.randomness import Stream

Growth = Literal["wide", "doubling"]
_WIDTHS: Mapping[Growth, tuple[float, ...]] = {"wide": (1, 2.5, 5, 10), "doubling": (1, 2, 4, 8)}
_AS_CONV4 = {item.name: item.metadata for item in fields(Conv4Settings)}
_LAYERS = 3
_MAPS_A_FILTER = 3.5  # 80 to 92 bytes a pixel and filter, where Conv-4 has 25 for one map
_SLOPE = 0.1
"""Of LeakyReLU for negative values."""


@dataclass(frozen=True, kw_only=True)
class ResNet12Settings(BackboneSettings):
    """ResNet-12: four residual blocks of three 3x3 convolutions, each with BatchNorm, and LeakyReLU.

    ``filters`` are the maps of the first block. The later blocks have 2.5, 5 and 10 times as many (``growth: wide``, Lee et al. 2019:
    64, 160, 320, 640) or 2, 4 and 8 times (``doubling``: 64, 128, 256, 512). ``batch_norm``, ``batch_norm_scale`` and
    ``batch_norm_epsilon`` are those of :class:`fsl_core.recipe.backbone_settings.Conv4Settings`.
    """

    name: ClassVar[str] = "resnet12"
    title: ClassVar[str] = "ResNet-12"
    forms: ClassVar[frozenset[str]] = frozenset({"layout", "convolution"})
    filters: int = field(default=64, metadata=_AS_CONV4["filters"])
    growth: Growth = field(
        default="wide", metadata=setting("widths of ResNet-12's blocks: wide, 1:2.5:5:10, or doubling, 1:2:4:8")
    )
    batch_norm: BatchNormStatistics = field(default="running", metadata=_AS_CONV4["batch_norm"])
    batch_norm_scale: bool = field(default=True, metadata=_AS_CONV4["batch_norm_scale"])
    batch_norm_epsilon: float = field(default=1e-5, metadata=_AS_CONV4["batch_norm_epsilon"])

    def __post_init__(self) -> None:
        size("filters", self.filters, 1)
        one_of("growth", self.growth, get_args(Growth))
        if self.growth == "wide" and self.filters % 2:
            problem = "the second block of a wide ResNet-12 has 2.5 times as many maps: an even number is needed"
            raise SettingError("filters", self.filters, problem, beside=("growth",), give={"growth": "doubling"})
        one_of("batch_norm", self.batch_norm, get_args(BatchNormStatistics))
        truth("batch_norm_scale", self.batch_norm_scale)
        positive_float32("batch_norm_epsilon", self.batch_norm_epsilon)

    @property
    def widths(self) -> tuple[int, ...]:
        """The maps of each block."""
        return tuple(round(self.filters * factor) for factor in _WIDTHS[self.growth])

    def build(self, image_shape: ImageShape) -> ResNet12:
        """The network for images ``(C, H, W)``; it holds no weights."""
        return ResNet12(image_shape, self)

    def features(self, image_shape: ImageShape) -> int:
        """Numbers in an embedding."""
        return self.widths[-1]

    def weight_count(self, image_shape: ImageShape) -> int:
        """How many numbers its weights are: kernels, and a scale and a shift of each map that BatchNorm normalises."""
        inputs, norm = (image_shape[0], *self.widths), 2 if self.batch_norm_scale else 1
        return sum(
            width * (9 * before + 9 * (_LAYERS - 1) * width + before + (_LAYERS + 1) * norm)
            for before, width in zip(inputs, self.widths, strict=False)
        )

    def kept_values(self, image_shape: ImageShape) -> int:
        """As many maps at full size as take the memory of a training step: as measured, 3.5 for each filter of the first block."""
        return round(super().kept_values(image_shape) * self.filters * _MAPS_A_FILTER)


@dataclass(frozen=True)
class ResNet12:
    """Four residual blocks; ``D`` is the width of the last. See :class:`fsl_core.backbones.backbone.Backbone`.

    A block: convolution, BatchNorm, LeakyReLU, twice; convolution and BatchNorm once more; added to its input, which has passed a 1x1
    convolution and BatchNorm; LeakyReLU; a 2x2 max-pool, which rounds an odd side down. The last maps are averaged over space.
    """

    # Paper: Lee et al.'s code keeps the last maps of miniImageNet as they are (5x5: D = 16,000) and drops activations (DropBlock).
    # Here they are averaged (D = 640), and nothing is dropped.
    image_shape: ImageShape
    settings: ResNet12Settings

    @property
    def features(self) -> int:
        """Numbers in an embedding, ``D``."""
        return self.settings.features(self.image_shape)

    @property
    def norms(self) -> Mapping[str, int]:
        """Channels of each layer of BatchNorm, by its name."""
        return {layer.norm.name: layer.norm.channels for block in self.blocks for layer in block}

    @cached_property
    def blocks(self) -> tuple[tuple[_Layer, ...], ...]:
        """The layers of each block, that of the shortcut last."""
        from fsl_core.backbones.normalisation import BatchNorm

        inputs, blocks = (self.image_shape[0], *self.settings.widths), []
        for block, width in enumerate(self.settings.widths):
            names = [f"blocks.{block}.{part}" for part in (*range(_LAYERS), "shortcut")]
            norms = [BatchNorm(name=f"{name}.norm", channels=width, settings=self.settings) for name in names]
            sides = [3] * _LAYERS + [1]
            before = [inputs[block], *[width] * (_LAYERS - 1), inputs[block]]
            blocks.append(tuple(_Layer(*each) for each in zip(names, norms, before, sides, strict=True)))
        return tuple(blocks)

    def initial_weights(self, stream: Stream) -> Weights:
        """The first weights, without a group axis: kernels as Lee et al.'s code draws them, BatchNorm's scales 1 and shifts 0."""
        from fsl_core.backbones.initialisation import initial_values
        from fsl_core.backbones.weights import Weights

        weights = Weights()
        for layer in (layer for block in self.blocks for layer in block):
            weights |= initial_values({layer.kernels: layer.shape}, stream, normal_by_fan_out)
            weights |= layer.norm.initial_weights(stream)
        return weights

    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        """The initial ``weight`` ``[outputs, D]`` and ``bias`` ``[outputs]`` of a linear layer behind it: PyTorch's, with a bias of 0."""
        from fsl_core.backbones.initialisation import initial_linear

        return initial_linear(outputs, self.features, stream)

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        """The images of each group to embeddings ``[G, B, D]``, and the statistics that BatchNorm normalised by."""
        from torch import unflatten
        from torch.nn.functional import leaky_relu, max_pool2d

        maps, run = kernels.fold(images.pixels), _Run(weights, kernels, statistics, {})
        for *layers, shortcut in self.blocks:
            inner = maps
            for number, layer in enumerate(layers):
                inner = run.normalised(leaky_relu(inner, _SLOPE) if number else inner, layer)
            # Pooling first is the same function (LeakyReLU is monotone) and leaves LeakyReLU a quarter of the elements.
            maps = leaky_relu(max_pool2d(inner + run.normalised(maps, shortcut), 2), _SLOPE)
        return unflatten(maps.mean((2, 3)), 1, (images.groups, -1)).transpose(0, 1), run.used


@dataclass(frozen=True)
class _Layer:
    """A convolution without bias and its BatchNorm: ``inputs`` maps by kernels of ``side`` x ``side`` pixels."""

    # Paper: no bias, in Lee et al.'s code too. The BatchNorm that follows subtracts it again, so its gradient is exactly zero.
    name: str
    norm: BatchNorm
    inputs: int
    side: int

    @property
    def kernels(self) -> str:
        """The name of its kernels among the weights."""
        return f"{self.name}.conv.weight"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of its kernels."""
        return self.norm.channels, self.inputs, self.side, self.side


@dataclass(frozen=True)
class _Run:
    """One pass of the network: its weights, how it is computed, what BatchNorm is given to normalise by and what it used so far."""

    weights: Mapping[str, torch.Tensor]
    kernels: Kernels
    given: Statistics | None
    used: Statistics

    def normalised(self, maps: torch.Tensor, layer: _Layer) -> torch.Tensor:
        """Maps ``[B, G * C, H, W]`` through a convolution and its BatchNorm: ``[B, G * F, H, W]``."""
        if self.given is None:
            out, self.used[layer.norm.name] = self._by_batch(
                self._convolved(maps, layer.side, self.weights[layer.kernels]), layer.norm
            )
            return out
        self.used[layer.norm.name] = self.given[layer.norm.name]
        factor, constant = layer.norm.as_affine(self.weights, self.given[layer.norm.name])  # part of the kernels: a pass less
        return self._convolved(maps, layer.side, self.weights[layer.kernels] * factor[:, :, None, None, None], constant.flatten())

    def _convolved(self, maps: torch.Tensor, side: int, values: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        # A kernel of one pixel is a product already: there is nothing to unfold.
        kernels = self.kernels if side > 1 else replace(self.kernels, convolution="grouped")
        return kernels.convolve(maps, values, bias, stride=1, padding=side // 2)

    def _by_batch(self, maps: torch.Tensor, norm: BatchNorm) -> tuple[torch.Tensor, LayerStatistics]:
        """Maps normalised by the batch's own statistics of each channel, and these."""
        import torch

        from fsl_core.backbones.weights import LayerStatistics

        shift = self.weights[f"{norm.name}.bias"]
        scale = self.weights.get(f"{norm.name}.weight", torch.ones_like(shift))
        epsilon = norm.settings.batch_norm_epsilon
        out = torch.nn.functional.batch_norm(maps, None, None, scale.flatten(), shift.flatten(), training=True, eps=epsilon)
        variance, mean = torch.var_mean(maps.detach(), dim=(0, 2, 3), correction=0)
        count = maps.numel() // maps.shape[1]
        return out, LayerStatistics(mean=mean.view_as(shift), variance=variance.view_as(shift), count=count)


def normal_by_fan_out(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal with the variance 2 / fan-out, counted over the kernel's pixels (He et al. 2015, equation 14)."""
    from fsl_core.randomness import standard_normal

    return standard_normal(key, shape).mul_(math.sqrt(2 / (shape[0] * math.prod(shape[2:]))))
