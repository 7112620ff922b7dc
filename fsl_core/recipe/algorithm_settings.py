"""The settings of every algorithm. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth
from fsl_core.errors import SettingError
from fsl_core.recipe.fingerprint import NONE_IS_OFF

Distance = Literal["squared_euclidean", "cosine"]
SupportOrder = Literal["by_class", "interleaved"]
Reduction = Literal["mean", "sum_over_shot"]


@dataclass(frozen=True, kw_only=True)
class PrototypicalSettings:
    """Prototypical Networks (Snell et al. 2017): the distance, and the factor its negative is multiplied by to give logits."""

    name: ClassVar[str] = "prototypical"
    distance: Distance = "squared_euclidean"
    scale: float = 1.0

    def __post_init__(self) -> None:
        one_of("distance", self.distance, get_args(Distance))
        positive_float32("scale", self.scale)


@dataclass(frozen=True, kw_only=True)
class MatchingSettings:
    """Matching Networks (Vinyals et al. 2016).

    ``scale`` multiplies the similarity before the attention's softmax; with ``learn_scale`` it is only where learning begins.
    ``fce``: full context embeddings, with ``reading_steps`` steps of the attention LSTM (None without). ``support_order`` is the
    order in which the bidirectional LSTM reads the support: class by class, or the first image of each class, then the second.
    ``clamp``: the probabilities in the training loss are held within ``clamp`` and ``1 - clamp``, and have no gradient outside.
    """

    name: ClassVar[str] = "matching"
    distance: Distance = "cosine"
    scale: float = 1.0
    learn_scale: bool = False
    fce: bool = False
    reading_steps: int | None = None
    support_order: SupportOrder | None = None
    clamp: float | None = field(default=None, metadata=NONE_IS_OFF)

    def __post_init__(self) -> None:
        one_of("distance", self.distance, get_args(Distance))
        positive_float32("scale", self.scale)
        if self.clamp is not None:
            positive_float32("clamp", self.clamp)
            if self.clamp >= 0.5:
                raise SettingError("clamp", self.clamp, "it must be below 0.5, or it leaves no probability as it is")
        truth("learn_scale", self.learn_scale)
        truth("fce", self.fce)
        if not self.fce:
            for name in ("reading_steps", "support_order"):
                if getattr(self, name) is not None:
                    raise SettingError(name, getattr(self, name), "without fce there is none", beside=("fce",))
            return
        for name in ("reading_steps", "support_order"):
            if getattr(self, name) is None:
                raise SettingError(name, None, "with fce it must be given", beside=("fce",))
        size("reading_steps", self.reading_steps, 1)
        one_of("support_order", self.support_order, get_args(SupportOrder))


@dataclass(frozen=True, kw_only=True)
class MamlSettings:
    """MAML (Finn et al. 2017).

    ``order`` 2 differentiates through the adaptation, 1 takes its gradients as constants. ``adaptation_steps`` of ``inner_lr`` each
    are taken in training. ``inner_reduction`` and ``outer_reduction`` say how the cross-entropy of an episode's support and of its
    query is put together: its mean, or its sum divided by the shot as in the authors' code, which is ``way`` times the mean of a
    support and ``way * query / shot`` times that of a query. ``adapt_batch_norm``: whether BatchNorm's weights are adapted too.
    """

    name: ClassVar[str] = "maml"
    order: Literal[1, 2] = 2
    adaptation_steps: int = 1
    inner_lr: float = 0.4
    inner_reduction: Reduction = "mean"
    outer_reduction: Reduction = "mean"
    adapt_batch_norm: bool = True

    def __post_init__(self) -> None:
        one_of("order", self.order, (1, 2))
        size("adaptation_steps", self.adaptation_steps, 0)
        positive_float32("inner_lr", self.inner_lr)
        one_of("inner_reduction", self.inner_reduction, get_args(Reduction))
        one_of("outer_reduction", self.outer_reduction, get_args(Reduction))
        truth("adapt_batch_norm", self.adapt_batch_norm)


AlgorithmSettings = PrototypicalSettings | MatchingSettings | MamlSettings
"""The settings of any algorithm."""
ALGORITHM_NAMES = tuple(kind.name for kind in (PrototypicalSettings, MatchingSettings, MamlSettings))
"""Every algorithm, as sweep files spell it."""
