"""The settings of every backbone. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth
from fsl_core.errors import SettingError

Downsampling = Literal["max_pool", "stride"]
BatchNormStatistics = Literal["running", "batch"]
Initialisation = Literal["fan_in", "finn_2017"]
Padding = Literal["symmetric", "same"]


@dataclass(frozen=True, kw_only=True)
class Conv4Settings:
    """Conv-4: four blocks of 3x3 convolution, BatchNorm and ReLU.

    ``downsampling``: each block ends in a 2x2 max-pool, or its convolution has stride 2 and the last block's map is averaged over
    space, as MAML's authors do on Omniglot. ``padding`` of convolutions with stride: a pixel on every side, or TensorFlow's "SAME",
    which pads an even side at its end alone. ``batch_norm``: what normalises when a trained network is scored, the ``running``
    statistics of training, which the algorithms that compare embeddings have, or always those of the ``batch`` itself, which MAML has.
    ``batch_norm_scale``: whether BatchNorm learns a scale beside its shift; ``batch_norm_epsilon`` is what it adds to the variance.
    ``initialisation``: first weights uniform within one over the root of the fan-in, or as MAML's authors' code draws them, also those
    of MAML's last layer.
    """

    name: ClassVar[str] = "conv4"
    filters: int = 64
    downsampling: Downsampling = "max_pool"
    padding: Padding = "symmetric"
    batch_norm: BatchNormStatistics = "running"
    batch_norm_scale: bool = True
    batch_norm_epsilon: float = 1e-5
    initialisation: Initialisation = "fan_in"

    def __post_init__(self) -> None:
        size("filters", self.filters, 1)
        one_of("downsampling", self.downsampling, get_args(Downsampling))
        one_of("padding", self.padding, get_args(Padding))
        if self.padding == "same" and self.downsampling != "stride":
            problem = "without strides the two paddings are the same"
            raise SettingError("padding", self.padding, problem, beside=("downsampling",), give={"padding": "symmetric"})
        _check_batch_norm(self)


@dataclass(frozen=True, kw_only=True)
class MlpSettings:
    """The network of MAML's row without convolutions: four hidden layers, each with BatchNorm and ReLU; see :class:`Conv4Settings`."""

    name: ClassVar[str] = "mlp"
    batch_norm: BatchNormStatistics = "batch"
    batch_norm_scale: bool = True
    batch_norm_epsilon: float = 1e-5
    initialisation: Initialisation = "fan_in"

    def __post_init__(self) -> None:
        _check_batch_norm(self)


BackboneSettings = Conv4Settings | MlpSettings
"""The settings of any backbone."""


def _check_batch_norm(settings: BackboneSettings) -> None:
    one_of("batch_norm", settings.batch_norm, get_args(BatchNormStatistics))
    truth("batch_norm_scale", settings.batch_norm_scale)
    positive_float32("batch_norm_epsilon", settings.batch_norm_epsilon)
    one_of("initialisation", settings.initialisation, get_args(Initialisation))


BACKBONE_NAMES = tuple(kind.name for kind in (Conv4Settings, MlpSettings))
"""Every backbone, as sweep files spell it."""
