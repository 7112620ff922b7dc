"""The settings of backbones: their interface, and those of Conv-4 and the MLP. torch is imported only to build a backbone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth
from fsl_core.errors import SettingError
from fsl_core.recipe.setting import counting, setting

if TYPE_CHECKING:
    from fsl_core.backbones.backbone import Backbone

Downsampling = Literal["max_pool", "stride"]
BatchNormStatistics = Literal["running", "batch"]
Initialisation = Literal["fan_in", "finn_2017", "pytorch_2018"]
Padding = Literal["symmetric", "same"]
CONV4_BLOCKS = 4
MLP_WIDTHS = (256, 128, 64, 64)
ImageShape = tuple[int, int, int]
"""Channels, height and width of an image."""


class BackboneSettings(ABC):
    """The base of a backbone's settings, which are a frozen dataclass; each field is a key of sweep files.

    ``name``: the backbone's name in sweep files; ``title``: its name in tables. ``batch_norm``: the statistics that normalise in scoring:
    the ``running`` ones of training, for metric algorithms, or those of the ``batch`` itself, for adapting ones. ``forms``: the fields of
    :class:`fsl_core.backbones.kernels.Kernels` that change its computation; execution paths that differ in others alone are timed once.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    forms: ClassVar[frozenset[str]] = frozenset({"layout", "normalisation", "convolution", "stem"})
    batch_norm: BatchNormStatistics

    @classmethod
    def kinds(cls) -> Mapping[str, type[BackboneSettings]]:
        """The settings of every backbone, including plug-ins, by name."""
        from fsl_core.backbones.catalogue import BACKBONES

        return BACKBONES

    @abstractmethod
    def build(self, image_shape: ImageShape) -> Backbone:
        """Build the backbone for images of this shape; it holds no weights."""

    @abstractmethod
    def features(self, image_shape: ImageShape) -> int:
        """The dimension of an embedding."""

    @abstractmethod
    def weight_count(self, image_shape: ImageShape) -> int:
        """The number of weights."""

    def kept_values(self, image_shape: ImageShape) -> int:
        """The pixels of an image times the maps at full size: the size of its activations, up to a measured factor."""
        return math.prod(image_shape[1:])


_CODE_ALONE = "the text says nothing of it, so that a number made without it answers the text's question"
_BATCH_NORM = setting("statistics by which BatchNorm normalises when scored: running or batch")
_BATCH_NORM_SCALE = setting("whether BatchNorm learns a scale beside its shift", weight="noted", reason=_CODE_ALONE)
_BATCH_NORM_EPSILON = setting("number that BatchNorm adds to the variance", weight="noted", reason=_CODE_ALONE)
_INITIALISATION = setting(
    "distribution of the first weights: fan_in, finn_2017 or pytorch_2018", weight="noted", reason=_CODE_ALONE
)


@dataclass(frozen=True, kw_only=True)
class Conv4Settings(BackboneSettings):
    """Conv-4: four blocks of 3x3 convolution, BatchNorm and ReLU.

    ``downsampling``: each block ends in a 2x2 max-pool, or its convolution has stride 2 and the last block's map is averaged over
    space, as MAML's authors do on Omniglot. ``padding`` of convolutions with stride: a pixel on every side, or TensorFlow's "SAME",
    which pads an even side only at its end. ``batch_norm``: the statistics that normalise in scoring: the ``running`` ones of training,
    for metric algorithms, or those of the ``batch`` itself, for adapting ones. ``batch_norm_scale``: whether BatchNorm
    learns a scale besides its shift; ``batch_norm_epsilon`` is added to the variance. ``initialisation``, including MAML's last
    layer: ``fan_in``, uniform within 1 / sqrt(fan-in), scales 1 and biases 0; ``finn_2017``, as in MAML's authors' code; ``pytorch_2018``,
    the defaults of PyTorch before 1.2, which are ``fan_in`` but for the scales, uniform in [0, 1), and the last layer's bias.
    """

    name: ClassVar[str] = "conv4"
    title: ClassVar[str] = "Conv-4"
    filters: int = field(
        default=64, metadata=setting("maps of each convolution; in ResNet-12, of the first block", word=counting("filter"))
    )
    downsampling: Downsampling = field(default="max_pool", metadata=setting("how a block halves its maps: max_pool or stride"))
    padding: Padding = field(
        default="symmetric",
        metadata=setting(
            "padding of convolutions with stride: symmetric, or same as TensorFlow has it", weight="noted", reason=_CODE_ALONE
        ),
    )
    batch_norm: BatchNormStatistics = field(default="running", metadata=_BATCH_NORM)
    batch_norm_scale: bool = field(default=True, metadata=_BATCH_NORM_SCALE)
    batch_norm_epsilon: float = field(default=1e-5, metadata=_BATCH_NORM_EPSILON)
    initialisation: Initialisation = field(default="fan_in", metadata=_INITIALISATION)

    def __post_init__(self) -> None:
        size("filters", self.filters, 1)
        one_of("downsampling", self.downsampling, get_args(Downsampling))
        one_of("padding", self.padding, get_args(Padding))
        if self.padding == "same" and self.downsampling != "stride":
            problem = "without strides the two paddings are the same"
            raise SettingError("padding", self.padding, problem, beside=("downsampling",), give={"padding": "symmetric"})
        _check_batch_norm(self)

    def build(self, image_shape: ImageShape) -> Backbone:
        """Build Conv-4 for images of this shape."""
        from fsl_core.backbones.conv4 import Conv4

        return Conv4(image_shape, self)

    def features(self, image_shape: ImageShape) -> int:
        """One number for each filter and pixel of the last maps."""
        _, height, width = image_shape
        pixels = 1 if self.downsampling == "stride" else (height // 2**CONV4_BLOCKS) * (width // 2**CONV4_BLOCKS)
        return self.filters * pixels

    def weight_count(self, image_shape: ImageShape) -> int:
        """3x3 convolutions, and BatchNorm's weights."""
        convolutions = 9 * self.filters * (image_shape[0] + (CONV4_BLOCKS - 1) * self.filters)
        return convolutions + CONV4_BLOCKS * self.filters * (2 if self.batch_norm_scale else 1)

    def kept_values(self, image_shape: ImageShape) -> int:
        """One map at full size for each filter."""
        return super().kept_values(image_shape) * self.filters


@dataclass(frozen=True, kw_only=True)
class MlpSettings(BackboneSettings):
    """MAML's network without convolutions: four hidden layers, each with BatchNorm and ReLU; see :class:`Conv4Settings`."""

    name: ClassVar[str] = "mlp"
    title: ClassVar[str] = "MLP"
    forms: ClassVar[frozenset[str]] = frozenset({"normalisation"})
    batch_norm: BatchNormStatistics = field(default="batch", metadata=_BATCH_NORM)
    batch_norm_scale: bool = field(default=True, metadata=_BATCH_NORM_SCALE)
    batch_norm_epsilon: float = field(default=1e-5, metadata=_BATCH_NORM_EPSILON)
    initialisation: Initialisation = field(default="fan_in", metadata=_INITIALISATION)

    def __post_init__(self) -> None:
        _check_batch_norm(self)

    def build(self, image_shape: ImageShape) -> Backbone:
        """Build the network for images of this shape."""
        from fsl_core.backbones.mlp import Mlp

        return Mlp(image_shape, self)

    def features(self, image_shape: ImageShape) -> int:
        """The width of the last layer."""
        return MLP_WIDTHS[-1]

    def weight_count(self, image_shape: ImageShape) -> int:
        """Four matrices, and BatchNorm's weights."""
        widths, norm = (math.prod(image_shape), *MLP_WIDTHS), 2 if self.batch_norm_scale else 1
        return sum(before * after + norm * after for before, after in pairwise(widths))


def _check_batch_norm(settings: Conv4Settings | MlpSettings) -> None:
    one_of("batch_norm", settings.batch_norm, get_args(BatchNormStatistics))
    truth("batch_norm_scale", settings.batch_norm_scale)
    positive_float32("batch_norm_epsilon", settings.batch_norm_epsilon)
    one_of("initialisation", settings.initialisation, get_args(Initialisation))
