"""ANIL. Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the Effectiveness of MAML", ICLR 2020
(arXiv 1909.09157).

Planning reads the settings, so nothing here imports torch until an algorithm is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from fsl_core.algorithms.adapted_classifier import AdaptedClassifier
from fsl_core.checks import one_of, positive_float32, size
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, Reduction

if TYPE_CHECKING:
    import torch

    from fsl_core.algorithms.algorithm import MetaGradient
    from fsl_core.algorithms.classifier import Classifier
    from fsl_core.backbones.backbone import Backbone
    from fsl_core.backbones.kernels import Kernels
    from fsl_core.backbones.weights import Statistics, Weights
    from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape


_AS_MAML = {item.name: item.metadata for item in fields(MamlSettings)}


@dataclass(frozen=True, kw_only=True)
class AnilSettings(AlgorithmSettings):
    """ANIL (Raghu et al. 2020): MAML that adapts the linear layer alone, in training and in scoring.

    Each setting means what MAML's of the same name does. BatchNorm's weights are the backbone's, so that none is adapted.
    """

    name: ClassVar[str] = "anil"
    title: ClassVar[str] = "ANIL"
    adapts: ClassVar[bool] = True
    order: Literal[1, 2] = field(default=2, metadata=_AS_MAML["order"])
    adaptation_steps: int = field(default=1, metadata=_AS_MAML["adaptation_steps"])
    inner_lr: float = field(default=0.4, metadata=_AS_MAML["inner_lr"])
    inner_reduction: Reduction = field(default="mean", metadata=_AS_MAML["inner_reduction"])
    outer_reduction: Reduction = field(default="mean", metadata=_AS_MAML["outer_reduction"])

    def __post_init__(self) -> None:
        one_of("order", self.order, (1, 2))
        size("adaptation_steps", self.adaptation_steps, 0)
        positive_float32("inner_lr", self.inner_lr)
        one_of("inner_reduction", self.inner_reduction, get_args(Reduction))
        one_of("outer_reduction", self.outer_reduction, get_args(Reduction))

    def build(self, backbone: Backbone, *, way: int) -> Anil:
        """The algorithm of these settings; it holds no weights."""
        from fsl_core.algorithms.classifier import Classifier

        return Anil(Classifier(backbone, way=way), self)

    def loss_factor(self, shape: EpisodeShape) -> float:
        """That of MAML."""
        return shape.queries / shape.shot if self.outer_reduction == "sum_over_shot" else 1.0

    def kept_images(self, shape: EpisodeShape) -> int:
        """One pass over an episode; at order 1 that over its support is not differentiated."""
        return shape.way * (shape.images_per_class if self.order == 2 else shape.query)

    def weight_count(self, features: int, way: int) -> int:
        """The last layer: an output for each class."""
        return (features + 1) * way

    def kept_weights(self, backbone: int, own: int) -> int:
        """The weights repeated for each episode, and their gradient; for each adaptation step the linear layer and its gradient."""
        return 2 * (backbone + own) + 2 * self.adaptation_steps * own

    def when_scoring(self) -> AlgorithmSettings:
        """Answering takes no gradient through the adaptation, whose steps an evaluation gives itself."""
        return AnilSettings().as_costs_go()


class Anil(AdaptedClassifier):
    """A backbone on whose embeddings a few gradient steps of the linear layer answer an episode (section 4 of the paper).

    The backbone embeds the support once and the query once: no adaptation step passes it. Each passes as a batch of its own, by whose
    statistics BatchNorm normalises (transductive, as MAML), unless a score is wanted inductively.
    """

    def __init__(self, network: Classifier, settings: AnilSettings) -> None:
        super().__init__(network)
        self.settings = settings

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """The gradient of the queries' loss after adaptation, in the first weights of the backbone and of the linear layer.

        At order 2 it passes through the adaptation, and so through the embeddings of the support; at order 1 the adaptation's
        gradients are constants, and the backbone learns from the query alone.
        """
        from fsl_core.algorithms.episode_gradient import gradient_of_episodes

        return gradient_of_episodes(
            lambda leaves: self._episode_loss(leaves, episodes, kernels), dict(weights), loss_factor=loss_factor
        )

    def _episode_loss(
        self, weights: Weights, episodes: EpisodeBatch, kernels: Kernels
    ) -> tuple[torch.Tensor, torch.Tensor, Statistics]:
        """The mean loss and the accuracy of the queries of each episode after adaptation: ``[S * E]``."""
        import torch

        from fsl_core.algorithms.algorithm import query_labels, right_share
        from fsl_core.algorithms.classifier import head_scores
        from fsl_core.algorithms.metric import cross_entropy
        from fsl_core.backbones.images import Images

        own, second_order = self._repeated(weights, len(episodes)), self.settings.order == 2
        with torch.set_grad_enabled(second_order):
            images = Images(episodes.support.flatten(1, 2), words=episodes.words, part="support")
            support, _ = self.network.embed(own, images, kernels)
        query, _ = self.network.embed(own, Images(episodes.query.flatten(1, 2), words=episodes.words, part="query"), kernels)
        for _ in range(self.settings.adaptation_steps):
            own = self.adapt(own, support)
        logits, labels = head_scores(own, query), query_labels(episodes.shape, device=query.device)
        return cross_entropy(logits, labels), right_share(logits, labels), {}

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

        With ``inductive`` BatchNorm normalises a query by the statistics of the support's activations.
        """
        import torch

        from fsl_core.algorithms.classifier import head_scores
        from fsl_core.backbones.images import Images

        with torch.no_grad():
            own, scores = self._repeated(weights, len(episodes)), []
            support, statistics = self.network.embed(own, Images(episodes.support.flatten(1, 2)), kernels)
            given = statistics if inductive else None
            query, _ = self.network.embed(own, Images(episodes.query.flatten(1, 2)), kernels, given)
            for step in range(adaptation_steps[-1] + 1):
                own = self.adapt(own, support) if step else own
                if step in adaptation_steps:
                    scores.append(head_scores(own, query))
        return torch.stack(scores)

    def adapt(self, weights: Weights, support: torch.Tensor) -> Weights:
        """The weights ``[G, ...]`` after a step of gradient descent of the linear layer on embeddings ``[G, B, D]``, class by class.

        The gradient of the mean cross-entropy of linear scores is ``(p - y)`` times the embeddings, over their number, where ``p`` are
        the probabilities and ``y`` is 1 for the right class. At order 2 it can itself be differentiated.
        """
        from fsl_core.algorithms.classifier import HEAD, HEAD_BIAS, head_scores

        settings, way = self.settings, self.network.way
        error = _error(head_scores(weights, support))
        # Paper: as MAML, whose equation 3 is a sum that its authors' code divides by the shot, which leaves way times the mean.
        rate = settings.inner_lr * (way if settings.inner_reduction == "sum_over_shot" else 1) / support.shape[1]
        gradients = {HEAD: error.transpose(1, 2) @ support, HEAD_BIAS: error.sum(dim=1)}
        if settings.order == 1:
            gradients = {name: values.detach() for name, values in gradients.items()}
        return {**weights, **{name: weights[name] - rate * values for name, values in gradients.items()}}

    def _repeated(self, weights: Mapping[str, torch.Tensor], episodes: int) -> Weights:
        from fsl_core.algorithms.classifier import HEAD
        from fsl_core.backbones.weights import repeated

        each = episodes // len(weights[HEAD])
        return {name: repeated(value, each) for name, value in weights.items()}


def _error(logits: torch.Tensor) -> torch.Tensor:
    """The probabilities less 1 for the right class, of scores ``[G, way * shot, way]`` of images class by class."""
    import torch

    way = logits.shape[2]
    right = torch.eye(way, dtype=logits.dtype, device=logits.device).repeat_interleave(logits.shape[1] // way, dim=0)
    return logits.softmax(dim=2) - right
