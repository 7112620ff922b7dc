"""MAML. Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017 (arXiv 1703.03400)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn
from torch.func import functional_call

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.backbones.initialisation import Draw, uniform_by_fan_in
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.errors import RecipeError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from tests.fsl_core.plain_loop.algorithm import class_labels
from tests.fsl_core.plain_loop.batch_norm import BATCH_NORM, noted_statistics
from tests.fsl_core.plain_loop.initialisation import initialise, uninitialised

Weights = Mapping[str, torch.Tensor]
Answer = Callable[[Weights, torch.Tensor, torch.Tensor], torch.Tensor]
"""Scores of a query ``[way, query, C, H, W]`` by fast weights and the support that they come from."""


class Maml(nn.Module):
    """Weights from which a few gradient steps on an episode's support answer its query (algorithm 2 of the paper).

    The network is the backbone and a linear layer with an output for each of ``way`` classes. BatchNorm sees one batch at a time,
    the support's or the query's, and normalises by its statistics (transductive, as in the authors' code), unless a score is wanted
    inductively. ``draw`` draws the linear layer's first weights; its bias begins at zero.
    """

    def __init__(
        self,
        backbone: nn.Module,
        settings: MamlSettings | AnilSettings,
        *,
        features: int,
        way: int,
        stream: Stream,
        draw: Draw = uniform_by_fan_in,
    ) -> None:
        super().__init__()
        self.settings = settings
        head = uninitialised(nn.Linear, features, way)
        initialise(head, stream=stream.within("head"), draw=draw)
        self.network = nn.Sequential(backbone, head)

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` after the adaptation steps of training, differentiable in the first weights.

        At order 2 the graph holds the adaptation; at order 1 its gradients are constants, so that the query's gradient at the fast
        weights is the gradient at the first ones (section 5.2).
        """
        return torch.stack([self._trained_logits(support, query) for support, query in _each(episodes)])

    def training_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of queries with scores ``[B, way]`` and labels int64 ``[B]``."""
        return nn.functional.cross_entropy(logits, labels)

    def _trained_logits(self, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        weights: Weights = self.adaptable_weights()
        for _ in range(self.settings.adaptation_steps):
            weights = self.adapt(weights, support, create_graph=self.settings.order == 2)
        return self._forward(weights, query.flatten(0, 1))

    def logits_after(self, episodes: EpisodeBatch, adaptation_steps: Sequence[int], *, inductive: bool = False) -> torch.Tensor:
        """Query scores ``[len(adaptation_steps), E, way * query, way]`` after each of the given, ascending numbers of steps.

        With ``inductive`` BatchNorm normalises a query by the statistics of the support's activations under the same weights, so that
        its scores depend on no other query; that needs evaluation mode.
        """
        # Paper: the text says nothing of BatchNorm at test; the authors' code is transductive and has no inductive form.
        answer = self._inductively if inductive else self._transductively
        scores = [torch.stack(self._scores_after(support, query, adaptation_steps, answer)) for support, query in _each(episodes)]
        return torch.stack(scores, dim=1)

    def _scores_after(
        self, support: torch.Tensor, query: torch.Tensor, wanted: Sequence[int], answer: Answer
    ) -> list[torch.Tensor]:
        weights: Weights = {name: weight.detach().requires_grad_() for name, weight in self.adaptable_weights().items()}
        scores = []
        for step in range(wanted[-1] + 1):
            if step:
                with torch.enable_grad():
                    adapted = self.adapt(weights, support, create_graph=False)
                weights = {name: weight.detach().requires_grad_() for name, weight in adapted.items()}
            if step in wanted:
                scores.append(answer(weights, support, query).detach())
        return scores

    def _transductively(self, weights: Weights, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        return self._forward(weights, query.flatten(0, 1))

    def _inductively(self, weights: Weights, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        if self.training:
            raise RecipeError(
                "a query is scored inductively in evaluation mode alone; in training BatchNorm uses the query's batch"
            )
        with noted_statistics(self.network) as statistics:
            self._forward(weights, support.flatten(0, 1))
        return self._forward({**weights, **statistics}, query.flatten(0, 1))

    def adaptable_weights(self) -> dict[str, torch.Tensor]:
        """The first weights that adaptation changes, by name: all, or all but BatchNorm's."""
        fixed: set[str] = set()
        if not self.settings.adapt_batch_norm:
            for name, module in self.network.named_modules():
                if isinstance(module, BATCH_NORM):
                    fixed |= {f"{name}.{own}" for own, _ in module.named_parameters(recurse=False)}
        return {name: weight for name, weight in self.network.named_parameters() if name not in fixed}

    def adapt(self, weights: Weights, support: torch.Tensor, *, create_graph: bool) -> dict[str, torch.Tensor]:
        """The fast weights one step of gradient descent further.

        Args:
            weights: the weights so far, by name; those that are absent stay the network's own.
            support: ``[way, shot, C, H, W]``.
            create_graph: whether the step can itself be differentiated, as order 2 needs.
        """
        way, shot = support.shape[:2]
        logits = self._forward(weights, support.flatten(0, 1))
        loss = nn.functional.cross_entropy(logits, class_labels(way, shot, device=logits.device))
        # Paper: equation 3 is a sum, and the authors' code divides it by the shot, which leaves way times the mean.
        factor = way if self.settings.inner_reduction == "sum_over_shot" else 1
        gradients = torch.autograd.grad(loss * factor, list(weights.values()), create_graph=create_graph)
        steps = zip(weights.items(), gradients, strict=True)
        return {name: weight - self.settings.inner_lr * gradient for (name, weight), gradient in steps}

    def _forward(self, weights: Weights, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = functional_call(self.network, dict(weights), (images,))
        return scores


def _each(episodes: EpisodeBatch) -> zip[tuple[torch.Tensor, torch.Tensor]]:
    return zip(episodes.support, episodes.query, strict=True)
