"""The settings of every backbone. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from fsl_core.checks import one_of, size
from fsl_core.fingerprint import ADDED_LATER

Downsampling = Literal["max_pool", "stride"]
BatchNormStatistics = Literal["running", "batch"]


@dataclass(frozen=True, kw_only=True)
class Conv4Settings:
    """Conv-4: four blocks of 3x3 convolution, BatchNorm and ReLU.

    ``downsampling``: each block ends in a 2x2 max-pool, or its convolution has stride 2 and the last block's map is averaged over
    space, as MAML's authors do on Omniglot. ``batch_norm``: what normalises when a trained network is scored, the running
    statistics of training, or always the batch's own: MAML (transductive) has these, the algorithms that compare embeddings those.
    """

    name: ClassVar[str] = "conv4"
    filters: int = 64
    downsampling: Downsampling = field(default="max_pool", metadata=ADDED_LATER)
    batch_norm: BatchNormStatistics = field(default="running", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        size("filters", self.filters, 1)
        one_of("downsampling", self.downsampling, get_args(Downsampling))
        one_of("batch_norm", self.batch_norm, get_args(BatchNormStatistics))


@dataclass(frozen=True, kw_only=True)
class MlpSettings:
    """The network of MAML's row without convolutions: four hidden layers, each with BatchNorm and ReLU; see :class:`Conv4Settings`."""

    name: ClassVar[str] = "mlp"
    batch_norm: BatchNormStatistics = "batch"

    def __post_init__(self) -> None:
        one_of("batch_norm", self.batch_norm, get_args(BatchNormStatistics))


BackboneSettings = Conv4Settings | MlpSettings
"""The settings of any backbone."""
BACKBONE_NAMES = tuple(kind.name for kind in (Conv4Settings, MlpSettings))
"""Every backbone, as sweep files spell it."""
