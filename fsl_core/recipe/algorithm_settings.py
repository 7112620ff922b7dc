"""The settings of algorithms: their interface, and those of the three papers. torch is imported only to build an algorithm."""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import SettingError
from fsl_core.recipe.setting import Lighter, counting, description_of, either, named, setting

if TYPE_CHECKING:
    from fsl_core.algorithms.algorithm import Algorithm
    from fsl_core.backbones.backbone import Backbone

Distance = Literal["squared_euclidean", "cosine"]
SupportOrder = Literal["by_class", "interleaved"]
Reduction = Literal["mean", "sum_over_shot"]


class AlgorithmSettings(ABC):
    """The base of an algorithm's settings, which are a frozen dataclass; each field is a key of sweep files.

    ``name``: the algorithm's name in sweep files; ``title``: its name in tables. ``adapts``: it adapts to the support of each episode
    before it answers, with as many ways as in training; otherwise it compares embeddings, with any number of ways.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    adapts: ClassVar[bool] = False

    @classmethod
    def kinds(cls) -> Mapping[str, type[AlgorithmSettings]]:
        """The settings of every algorithm, including plug-ins, by name."""
        from fsl_core.algorithms.catalogue import ALGORITHMS

        return ALGORITHMS

    @abstractmethod
    def build(self, backbone: Backbone, *, way: int) -> Algorithm:
        """Build the algorithm on a backbone, for training episodes of ``way`` classes; it holds no weights."""

    def loss_factor(self, shape: EpisodeShape) -> float:
        """The factor of the mean cross-entropy of an episode's queries, before its gradient is taken."""
        return 1.0

    def kept_images(self, shape: EpisodeShape) -> int:
        """The number of image passes through the backbone that a training episode keeps in memory at its peak."""
        return shape.way * shape.images_per_class

    def weight_count(self, features: int, way: int) -> int:
        """The number of weights besides those of the backbone, whose embeddings have ``features`` numbers."""
        return 0

    def kept_weights(self, backbone: int, own: int) -> int:
        """The fast weights and gradients that a training episode keeps at its peak, of a backbone's and the algorithm's own weights."""
        return 0

    def when_scoring(self) -> AlgorithmSettings:
        """The same settings, with those that do not affect the time of scoring an episode at their defaults."""
        return self.as_costs_go()

    def as_costs_go(self) -> AlgorithmSettings:
        """The same settings, with those that do not affect the cost made equal; None stays, as it means that there is none."""
        alike: AlgorithmSettings = _as_costs_go(self)
        return alike


@functools.lru_cache(maxsize=4096)
def _as_costs_go(settings: Any) -> Any:
    alike = {item.name: description_of(item).alike for item in dataclasses.fields(settings)}
    known = {name: value for name, value in alike.items() if value is not None and getattr(settings, name) is not None}
    return dataclasses.replace(settings, **known)


_DISTANCE = setting(
    "how alike two embeddings are: by squared Euclidean distance, or by their cosine",
    word=named({"squared_euclidean": "squared Euclidean", "cosine": "cosine"}),
    form="always",
)
_UNWRITTEN_SCALE = Lighter(reason="the cosine's text has no scale and says nothing against one", where={"distance": "cosine"})
_SCALE = setting(
    "factor that multiplies the similarity before the softmax", lighter=(_UNWRITTEN_SCALE,), form="unless_usual", alike=1.0
)


@dataclass(frozen=True, kw_only=True)
class PrototypicalSettings(AlgorithmSettings):
    """Prototypical Networks (Snell et al. 2017): the distance, and the factor of its negative in the logits."""

    name: ClassVar[str] = "prototypical"
    title: ClassVar[str] = "Prototypical"
    distance: Distance = field(default="squared_euclidean", metadata=_DISTANCE)
    scale: float = field(default=1.0, metadata=_SCALE)

    def __post_init__(self) -> None:
        one_of("distance", self.distance, get_args(Distance))
        positive_float32("scale", self.scale)

    def build(self, backbone: Backbone, *, way: int) -> Algorithm:
        """Build the algorithm on a backbone."""
        from fsl_core.algorithms.prototypical import PrototypicalNetworks

        return PrototypicalNetworks(backbone, self)


@dataclass(frozen=True, kw_only=True)
class MatchingSettings(AlgorithmSettings):
    """Matching Networks (Vinyals et al. 2016).

    ``scale`` multiplies the similarity before the attention's softmax; with ``learn_scale`` it is the initial value. ``fce``: full
    context embeddings, with ``reading_steps`` steps of the attention LSTM (None without). ``support_order``: the order in which the
    bidirectional LSTM reads the support: class by class, or the first image of each class, then the second. ``clamp`` bounds the
    probabilities in the training loss to ``clamp`` and ``1 - clamp``; they have no gradient outside.
    """

    name: ClassVar[str] = "matching"
    title: ClassVar[str] = "Matching"
    distance: Distance = field(default="cosine", metadata=_DISTANCE)
    scale: float = field(default=1.0, metadata=_SCALE)
    learn_scale: bool = field(
        default=False,
        metadata=setting("whether the scale is learned, from its first value on", lighter=(_UNWRITTEN_SCALE,), alike=False),
    )
    fce: bool = field(
        default=False,
        metadata=setting(
            "whether embeddings see the whole support (full context embeddings)",
            word=either("FCE", "no FCE"),
            form="unless_usual",
        ),
    )
    reading_steps: int | None = field(default=None, metadata=setting("reading steps of the attention LSTM"))
    support_order: SupportOrder | None = field(
        default=None, metadata=setting("order in which the LSTM reads the support: by_class or interleaved", alike="by_class")
    )
    clamp: float | None = field(
        default=None,
        metadata=setting(
            "least probability of an answer in the training loss",
            weight="noted",
            reason="it changes the gradient of a hopeless query alone, never an answer",
            none_is_off=True,
            alike=1e-8,
        ),
    )

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

    def build(self, backbone: Backbone, *, way: int) -> Algorithm:
        """Build the algorithm on a backbone."""
        from fsl_core.algorithms.matching import MatchingNetworks

        return MatchingNetworks(backbone, self)

    def weight_count(self, features: int, way: int) -> int:
        """The learned scale, and two LSTMs for full context embeddings."""
        lstms = 2 * 4 * features * (2 * features + 2) + 4 * features * (3 * features + 2)
        return self.learn_scale + (lstms if self.fce else 0)


@dataclass(frozen=True, kw_only=True)
class MamlSettings(AlgorithmSettings):
    """MAML (Finn et al. 2017).

    ``order`` 2 differentiates through the adaptation, 1 treats its gradients as constants. Training takes ``adaptation_steps`` of
    ``inner_lr`` each. ``inner_reduction`` and ``outer_reduction`` reduce the cross-entropies of an episode's support and query: their
    mean, or their sum divided by the shot as in the authors' code, which is ``way`` times the mean of a support and
    ``way * query / shot`` times that of a query. ``adapt_batch_norm``: whether BatchNorm's weights are adapted too.
    """

    name: ClassVar[str] = "maml"
    title: ClassVar[str] = "MAML"
    adapts: ClassVar[bool] = True
    order: Literal[1, 2] = field(default=2, metadata=setting("order of the meta-gradient: 1 or 2", form="always"))
    adaptation_steps: int = field(
        default=1, metadata=setting("gradient steps on the support in training", word=counting("adaptation step", " in training"))
    )
    inner_lr: float = field(default=0.4, metadata=setting("learning rate of the adaptation", alike=1.0))
    inner_reduction: Reduction = field(
        default="mean", metadata=setting("reduction of the support's loss: mean or sum_over_shot", alike="mean")
    )
    outer_reduction: Reduction = field(
        default="mean",
        metadata=setting(
            "reduction of the query's loss: mean or sum_over_shot",
            lighter=(Lighter(reason="Adam's step does not depend on the size of the loss", where={"optimiser": "adam"}),),
            alike="mean",
        ),
    )
    adapt_batch_norm: bool = field(default=True, metadata=setting("whether BatchNorm's weights are adapted"))

    def __post_init__(self) -> None:
        one_of("order", self.order, (1, 2))
        size("adaptation_steps", self.adaptation_steps, 0)
        positive_float32("inner_lr", self.inner_lr)
        one_of("inner_reduction", self.inner_reduction, get_args(Reduction))
        one_of("outer_reduction", self.outer_reduction, get_args(Reduction))
        truth("adapt_batch_norm", self.adapt_batch_norm)

    def build(self, backbone: Backbone, *, way: int) -> Algorithm:
        """Build the algorithm on a backbone, with an output for each of ``way`` classes."""
        from fsl_core.algorithms.maml import Maml

        return Maml(backbone, self, way=way)

    def loss_factor(self, shape: EpisodeShape) -> float:
        """Different from 1 if the sum of the query's losses is divided by the shot."""
        return shape.queries / shape.shot if self.outer_reduction == "sum_over_shot" else 1.0

    def kept_images(self, shape: EpisodeShape) -> int:
        """One pass over an episode at order 1; at order 2 each adaptation step's forward and backward pass."""
        kept = 3 * self.adaptation_steps if self.order == 2 else 1
        return shape.way * (shape.query + shape.shot * kept)

    def weight_count(self, features: int, way: int) -> int:
        """The last layer: an output for each class."""
        return (features + 1) * way

    def kept_weights(self, backbone: int, own: int) -> int:
        """The fast weights, their gradient, and both for the query; at order 2 both for each adaptation step too."""
        return (4 + (2 * self.adaptation_steps if self.order == 2 else 0)) * (backbone + own)

    def when_scoring(self) -> AlgorithmSettings:
        """Scoring takes no gradient through the adaptation, whose steps the evaluation sets."""
        return MamlSettings(adapt_batch_norm=self.adapt_batch_norm).as_costs_go()
