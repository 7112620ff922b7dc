"""MAML. Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017 (arXiv 1703.03400)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from fsl_core.algorithms.adapted_classifier import AdaptedClassifier
from fsl_core.algorithms.algorithm import (
    ComputePart,
    MetaGradient,
    class_labels,
    mean_of_groups,
    right_share,
)
from fsl_core.algorithms.classifier import BACKBONE, HEAD, Classifier
from fsl_core.algorithms.metric import cross_entropy
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights, repeated
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MamlSettings

Gradients = Mapping[str, torch.Tensor]
"""Gradients of fast weights, by their names; at order 2 they can themselves be differentiated."""


class Maml(AdaptedClassifier):
    """Weights from which a few gradient steps on an episode's support answer its query (algorithm 2 of the paper).

    The network is the backbone and a linear layer with an output for each of ``way`` classes. BatchNorm sees one batch at a time,
    the support's or the query's, and normalises by its statistics (transductive, as in the authors' code), unless a score is wanted
    inductively. The linear layer's bias begins at zero.
    """

    def __init__(self, backbone: Backbone, settings: MamlSettings, *, way: int) -> None:
        super().__init__(Classifier(backbone, way=way))
        self.backbone = backbone
        self.settings = settings
        self.way = way

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """The gradient of the queries' loss after adaptation, in the first weights.

        At order 2 it is taken back through the adaptation: with ``l`` the gradient at the fast weights after step k, that before it is
        ``l - inner_lr * H l``, where ``H`` is the Hessian of the support's loss there. This is what autograd computes for the whole
        adaptation, one step at a time. At order 1 the gradient at the last fast weights is the answer (section 5.2).
        """
        seeds, second_order = len(weights[HEAD]), self.settings.order == 2
        fast = {name: repeated(value.detach(), len(episodes) // seeds) for name, value in weights.items()}
        support = _support(episodes.support.flatten(1, 2), episodes.words, reused=self.settings.adaptation_steps > 1)
        trail: list[tuple[Weights, Gradients]] = []
        for _ in range(self.settings.adaptation_steps):
            leaves, gradients = self._support_gradient(fast, support, kernels, differentiable=second_order)
            if second_order:
                trail.append((leaves, gradients))
            fast = self._descended(leaves, gradients)
        adjoint, loss, accuracy = self._query_gradient(
            fast, _query(episodes.query.flatten(1, 2), episodes.words), loss_factor, kernels
        )
        while trail:
            adjoint = self._before_step(*trail.pop(), adjoint)
        return _meta_gradient(adjoint, loss, accuracy, seeds)

    @property
    def repeats(self) -> bool:
        """Whether training takes several adaptation steps."""
        return self.settings.adaptation_steps > 1

    def meta_gradient_by_parts(
        self,
        weights: Mapping[str, torch.Tensor],
        episodes: EpisodeBatch,
        *,
        loss_factor: float,
        kernels: Kernels,
        compute: ComputePart,
    ) -> MetaGradient:
        """:meth:`meta_gradient` from an adaptation step, the queries' gradient and, at order 2, the adjoint before a step.

        No graph outlives a function, so that the last one computes the gradient of the support again.
        """

        def adapted(fast: Weights, images: torch.Tensor, *words: torch.Tensor) -> Weights:
            return self.adapt(fast, _support(images, *words, reused=True), kernels=kernels)

        def queried(fast: Weights, images: torch.Tensor, *words: torch.Tensor) -> tuple[Weights, torch.Tensor, torch.Tensor]:
            return self._query_gradient(fast, _query(images, *words), loss_factor, kernels)

        def before(fast: Weights, adjoint: Weights, images: torch.Tensor, *words: torch.Tensor) -> Weights:
            support = _support(images, *words, reused=True)
            return self._before_step(*self._support_gradient(fast, support, kernels, differentiable=True), adjoint)

        words = () if episodes.words is None else (episodes.words,)
        seeds, support, query = len(weights[HEAD]), episodes.support.flatten(1, 2), episodes.query.flatten(1, 2)
        fast = {name: repeated(value.detach(), len(episodes) // seeds) for name, value in weights.items()}
        trail: list[Weights] = []
        for _ in range(self.settings.adaptation_steps):
            if self.settings.order == 2:
                trail.append(fast)
            fast = compute("adaptation step", adapted, fast, support, *words)
        adjoint, loss, accuracy = compute("query gradient", queried, fast, query, *words)
        while trail:
            adjoint = compute("adjoint before a step", before, trail.pop(), adjoint, support, *words)
        return _meta_gradient(adjoint, loss, accuracy, seeds)

    def adapt(self, weights: Mapping[str, torch.Tensor], support: Images, *, kernels: Kernels) -> Weights:
        """The fast weights ``[G, ...]`` one step of gradient descent on the support further, whose images are class by class."""
        leaves, gradients = self._support_gradient(weights, support, kernels, differentiable=False)
        return self._descended(leaves, gradients)

    def adaptable(self, weights: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
        """The names of the weights that adaptation changes: all, or all but BatchNorm's."""
        if self.settings.adapt_batch_norm:
            return tuple(weights)
        fixed = tuple(f"{BACKBONE}{norm}." for norm in self.backbone.norms)
        return tuple(name for name in weights if not name.startswith(fixed))

    def _support_gradient(
        self, weights: Mapping[str, torch.Tensor], support: Images, kernels: Kernels, *, differentiable: bool
    ) -> tuple[Weights, Gradients]:
        """The weights as leaves of a graph, and the gradients of each group's support loss in those that adapt."""
        names = self.adaptable(weights)
        leaves = {name: value.detach().requires_grad_(differentiable or name in names) for name, value in weights.items()}
        with torch.enable_grad():
            logits, _ = self.network.scores(leaves, support, kernels)
            shot = logits.shape[1] // self.way
            loss = cross_entropy(logits, class_labels(self.way, shot, device=logits.device)).sum()
            # Paper: equation 3 is a sum, and the authors' code divides it by the shot, which leaves way times the mean.
            factor = self.way if self.settings.inner_reduction == "sum_over_shot" else 1
            wanted = [leaves[name] for name in names]
            gradients = torch.autograd.grad(loss * factor, wanted, create_graph=differentiable)
        return leaves, dict(zip(names, gradients, strict=True))

    @torch.no_grad()
    def _descended(self, weights: Mapping[str, torch.Tensor], gradients: Gradients) -> Weights:
        """The weights after a step of gradient descent; those without a gradient are the same."""
        rate = -self.settings.inner_lr
        return {
            name: value.add(gradients[name], alpha=rate) if name in gradients else value.detach()
            for name, value in weights.items()
        }

    def _query_gradient(
        self, fast: Weights, query: Images, loss_factor: float, kernels: Kernels
    ) -> tuple[Weights, torch.Tensor, torch.Tensor]:
        """The gradient of each episode's query loss in its fast weights, and the loss and accuracy ``[G]``."""
        leaves = {name: value.detach().requires_grad_() for name, value in fast.items()}
        labels = class_labels(self.way, query.pixels.shape[1] // self.way, device=query.pixels.device)
        with torch.enable_grad():
            logits, _ = self.network.scores(leaves, query, kernels)
            loss = cross_entropy(logits, labels)
            gradients = torch.autograd.grad(loss.sum() * loss_factor, list(leaves.values()))
        return dict(zip(leaves, gradients, strict=True)), loss.detach(), right_share(logits, labels)

    def _before_step(self, leaves: Weights, gradients: Gradients, adjoint: Weights) -> Weights:
        """The meta-gradient at the weights before an adaptation step, from that after it."""
        products = torch.autograd.grad(
            list(gradients.values()),
            list(leaves.values()),
            [adjoint[name] for name in gradients],
            allow_unused=True,
        )
        rate = -self.settings.inner_lr
        return {
            name: adjoint[name] if product is None else adjoint[name].add(product, alpha=rate)
            for name, product in zip(leaves, products, strict=True)
        }

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

        With ``inductive`` BatchNorm normalises a query by the statistics of the support's activations under the same weights, so that
        its scores depend on no other query.
        """
        # Paper: the text says nothing of BatchNorm at test; the authors' code is transductive and has no inductive form.
        fast = {name: repeated(value, len(episodes) // len(value)) for name, value in weights.items()}
        support, query = Images(episodes.support.flatten(1, 2), reused=True), Images(episodes.query.flatten(1, 2), reused=True)
        scores = []
        for step in range(adaptation_steps[-1] + 1):
            if step:
                fast = self.adapt(fast, support, kernels=kernels)
            if step in adaptation_steps:
                scores.append(self.network.answers(fast, query, kernels, support=support if inductive else None))
        return torch.stack(scores)


def _support(images: torch.Tensor, words: torch.Tensor | None = None, *, reused: bool) -> Images:
    return Images(images, reused=reused, words=words, part="support")


def _query(images: torch.Tensor, words: torch.Tensor | None = None) -> Images:
    return Images(images, words=words, part="query")


def _meta_gradient(gradient: Weights, loss: torch.Tensor, accuracy: torch.Tensor, seeds: int) -> MetaGradient:
    """The means over the episodes of each seed, of ``[G, ...]``."""
    return MetaGradient(
        gradient={name: mean_of_groups(values, seeds) for name, values in gradient.items()},
        statistics={},
        loss=mean_of_groups(loss, seeds),
        accuracy=mean_of_groups(accuracy, seeds),
    )
