"""Reptile. Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018 (arXiv 1803.02999).

Planning reads the settings, so nothing here imports torch until an algorithm is built.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from fsl_core.algorithms.adapted_classifier import AdaptedClassifier
from fsl_core.checks import one_of, positive_float32, size
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings
from fsl_core.recipe.setting import named, setting

if TYPE_CHECKING:
    import torch

    from fsl_core.algorithms.algorithm import MetaGradient
    from fsl_core.algorithms.classifier import Classifier
    from fsl_core.backbones.backbone import Backbone
    from fsl_core.backbones.images import Images
    from fsl_core.backbones.kernels import Kernels
    from fsl_core.backbones.weights import Weights
    from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape

InnerOptimiser = Literal["adam", "sgd"]
_AS_MAML = {item.name: item.metadata for item in dataclasses.fields(MamlSettings)}
_DECAY, _EPSILON = 0.999, 1e-8  # of Adam's second moment, and what is added to its root


@dataclass(frozen=True, kw_only=True)
class ReptileSettings(AlgorithmSettings):
    """Reptile (Nichol et al. 2018): the first weights move towards those that an episode's support trains.

    ``adaptation_steps`` of ``inner_lr`` each are taken in training, on batches of ``inner_batch_size`` images of the support; where an
    episode is scored a batch has ``evaluation_inner_batch_size``. ``inner_optimiser``: Adam without a first moment, which begins anew in
    each episode, or gradient descent.
    """

    name: ClassVar[str] = "reptile"
    title: ClassVar[str] = "Reptile"
    adapts: ClassVar[bool] = True
    adaptation_steps: int = field(default=5, metadata=_AS_MAML["adaptation_steps"])
    inner_lr: float = field(default=1e-3, metadata=_AS_MAML["inner_lr"])
    inner_optimiser: InnerOptimiser = field(
        default="adam",
        metadata=setting(
            "what adapts: adam without a first moment, or sgd",
            word=named({"adam": "inner Adam", "sgd": "inner gradient descent"}),
        ),
    )
    inner_batch_size: int = field(default=10, metadata=setting("support images of an adaptation step in training"))
    evaluation_inner_batch_size: int = field(
        default=5, metadata=setting("support images of an adaptation step where an episode is scored")
    )

    def __post_init__(self) -> None:
        size("adaptation_steps", self.adaptation_steps, 0)
        positive_float32("inner_lr", self.inner_lr)
        one_of("inner_optimiser", self.inner_optimiser, get_args(InnerOptimiser))
        size("inner_batch_size", self.inner_batch_size, 1)
        size("evaluation_inner_batch_size", self.evaluation_inner_batch_size, 1)

    def build(self, backbone: Backbone, *, way: int) -> Reptile:
        """The algorithm of these settings; it holds no weights."""
        from fsl_core.algorithms.classifier import Classifier

        return Reptile(Classifier(backbone, way=way), self)

    def kept_images(self, shape: EpisodeShape) -> int:
        """A batch of the support, or the queries, which pass by themselves."""
        return max(self.inner_batch_size, shape.queries)

    def weight_count(self, features: int, way: int) -> int:
        """The last layer: an output for each class."""
        return (features + 1) * way

    def kept_weights(self, backbone: int, own: int) -> int:
        """The first weights, those before and after a step, and the gradient; for Adam its moments before and after, and their root."""
        return (7 if self.inner_optimiser == "adam" else 4) * (backbone + own)

    def as_costs_go(self) -> AlgorithmSettings:
        """Without the rate, and without the batches of a scored episode, which no training episode has."""
        return dataclasses.replace(self, inner_lr=1.0, evaluation_inner_batch_size=1)

    def when_scoring(self) -> AlgorithmSettings:
        """Without the rate, and without the steps and batches of a training episode."""
        return dataclasses.replace(self, inner_lr=1.0, adaptation_steps=1, inner_batch_size=1)


class Reptile(AdaptedClassifier):
    """First weights that lie close to those which each episode would be trained to (algorithms 1 and 2 of the paper).

    An episode is trained on small batches of its support, by Adam without a first moment or by gradient descent, and the first
    weights then move towards the mean of what it was trained to. No loss of a query is differentiated: the queries of a training
    episode are scored for the curves and teach nothing. All weights adapt, BatchNorm's too, which sees one batch at a time.
    """

    def __init__(self, network: Classifier, settings: ReptileSettings) -> None:
        super().__init__(network)
        self.settings = settings

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """The first weights less the mean of the trained ones. There is no outer loss that ``loss_factor`` could scale.

        Gradient descent with a rate of ``epsilon`` then moves the weights ``epsilon`` of the way.
        """
        from fsl_core.algorithms.algorithm import MetaGradient, mean_of_groups, query_labels, right_share
        from fsl_core.algorithms.metric import cross_entropy
        from fsl_core.backbones.images import Images

        settings, seeds = self.settings, len(next(iter(weights.values())))
        first = self._repeated(weights, len(episodes))
        steps, size = settings.adaptation_steps, settings.inner_batch_size
        *_, fast = self._trained(first, episodes, steps, size, kernels, words=episodes.words)
        logits = self.network.answers(fast, Images(episodes.query.flatten(1, 2)), kernels)
        labels = query_labels(episodes.shape, device=logits.device)
        return MetaGradient(
            gradient={name: mean_of_groups(value - fast[name], seeds) for name, value in first.items()},
            statistics={},
            loss=mean_of_groups(cross_entropy(logits, labels), seeds),
            accuracy=mean_of_groups(right_share(logits, labels), seeds),
        )

    def logits_after(
        self,
        weights: Mapping[str, torch.Tensor],
        episodes: EpisodeBatch,
        adaptation_steps: Sequence[int],
        *,
        kernels: Kernels,
        inductive: bool = False,
    ) -> torch.Tensor:
        """Query scores ``[len(adaptation_steps), G, way * query, way]`` after each of the given, ascending numbers of steps.

        With ``inductive`` BatchNorm normalises a query by the statistics of the support's activations under the same weights.
        """
        import torch

        from fsl_core.backbones.images import Images

        # Paper: without transduction the authors' code has each query in a batch with the support; here the support's is without it.
        support = Images(episodes.support.flatten(1, 2), reused=True) if inductive else None
        query = Images(episodes.query.flatten(1, 2), reused=True)
        first, size = self._repeated(weights, len(episodes)), self.settings.evaluation_inner_batch_size
        trained = enumerate(self._trained(first, episodes, adaptation_steps[-1], size, kernels))
        scored = (fast for step, fast in trained if step in adaptation_steps)
        return torch.stack([self.network.answers(fast, query, kernels, support=support) for fast in scored])

    def _trained(
        self,
        weights: Weights,
        episodes: EpisodeBatch,
        steps: int,
        batch_size: int,
        kernels: Kernels,
        *,
        words: torch.Tensor | None = None,
    ) -> Iterator[Weights]:
        """The weights ``[G, ...]`` after 0, 1, … ``steps`` steps on batches of each episode's support; ``words``: of its images."""
        from fsl_core.backbones.images import Images

        support, shot = episodes.support.flatten(1, 2), episodes.shape.shot
        places = inner_batches(episodes.words, images=support.shape[1], batch_size=batch_size, steps=steps)
        moments: Weights = {}
        yield weights
        for step in range(steps):
            own = places[:, step]
            batch = Images(_taken(support, own), words=words, part=f"step {step}")
            gradient = self._gradient(weights, batch, own // shot, kernels)
            if self.settings.inner_optimiser == "adam":
                moments = _second_moments(moments, gradient)
                weights = _adams_step(weights, gradient, moments, rate=self.settings.inner_lr, step=step + 1)
            else:
                weights = {name: value.add(gradient[name], alpha=-self.settings.inner_lr) for name, value in weights.items()}
            yield weights

    def _gradient(self, weights: Weights, images: Images, labels: torch.Tensor, kernels: Kernels) -> Weights:
        """The gradient of each group's mean cross-entropy on its images, which have labels ``[G, B]``."""
        import torch

        from fsl_core.algorithms.metric import cross_entropy

        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        with torch.enable_grad():
            loss = cross_entropy(self.network.scores(leaves, images, kernels)[0], labels).sum()
            gradients = torch.autograd.grad(loss, list(leaves.values()))
        return dict(zip(leaves, gradients, strict=True))

    def _repeated(self, weights: Mapping[str, torch.Tensor], episodes: int) -> Weights:
        from fsl_core.backbones.weights import repeated

        return {name: repeated(value.detach(), episodes // len(value)) for name, value in weights.items()}


def inner_batches(words: torch.Tensor | None, *, images: int, batch_size: int, steps: int) -> torch.Tensor:
    """Which of an episode's images each step trains on: int64 ``[E, steps, batch_size]``, a function of the episodes' words alone.

    The images are shuffled, taken in that order, and shuffled anew when all were taken, in the midst of a batch too.

    Raises:
        RecipeError: if the episodes were not sampled, and have no words.
    """
    import torch

    from fsl_core.errors import RecipeError
    from fsl_core.randomness import word_at

    if words is None:
        raise RecipeError("an episode's support is shuffled by its word; these episodes have none: a sampler gives them")
    taken = steps * batch_size
    passes = max(1, math.ceil(taken / images))
    positions = torch.arange(passes * images, device=words.device).expand(len(words), -1)
    keys = word_at(words.unsqueeze(1), positions).view(-1, passes, images)
    order = keys.argsort(dim=2).flatten(1)
    return order[:, :taken].reshape(len(order), steps, batch_size)


def _taken(support: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The images ``[G, B, ...]`` at the places ``[G, B]`` of ``[G, way * shot, ...]``."""
    import torch

    return support[torch.arange(len(support), device=support.device).unsqueeze(1), places]


def _second_moments(moments: Weights, gradient: Weights) -> Weights:
    """The decaying mean of the squared gradients, in place; before the first step there is none, and it begins at zero."""
    # Paper: the authors' code keeps the second moments from one episode to the next. Here each episode begins without any, so that what
    # it teaches is a function of the first weights and its images, as the text's operator U is.
    if not moments:
        return {name: values.square().mul_(1 - _DECAY) for name, values in gradient.items()}
    return {name: moments[name].mul_(_DECAY).addcmul_(values, values, value=1 - _DECAY) for name, values in gradient.items()}


def _adams_step(weights: Weights, gradient: Weights, moments: Weights, *, rate: float, step: int) -> Weights:
    """The weights after Adam's step number ``step``, counted from 1, without a first moment."""
    # Paper: Adam's beta1 is 0, as in the authors' code; epsilon is added to the root before the bias is corrected, as TensorFlow does.
    factor = -rate * math.sqrt(1 - _DECAY**step)
    return {
        name: value.addcdiv(gradient[name], moments[name].sqrt().add_(_EPSILON), value=factor) for name, value in weights.items()
    }
