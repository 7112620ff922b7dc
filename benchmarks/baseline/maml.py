"""MAML as in commit 3b468da, word for word but for its first weights, which are torch's; training alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.func import functional_call

from benchmarks.baseline.labels import class_labels
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MamlSettings

Weights = Mapping[str, torch.Tensor]


class Maml(nn.Module):
    """Weights from which a few gradient steps on an episode's support answer its query (algorithm 2 of the paper).

    The network is the backbone and a linear layer with an output for each of ``way`` classes. BatchNorm sees one batch at a time,
    the support's or the query's, and normalises by its statistics (transductive, as in the authors' code).
    """

    def __init__(self, backbone: nn.Module, settings: MamlSettings, *, features: int, way: int) -> None:
        super().__init__()
        self.settings = settings
        self.network = nn.Sequential(backbone, nn.Linear(features, way))

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` after the adaptation steps of training, differentiable in the first weights.

        At order 2 the graph holds the adaptation; at order 1 its gradients are constants, so that the query's gradient at the fast
        weights is the gradient at the first ones (section 5.2).
        """
        return torch.stack([self._trained_logits(support, query) for support, query in _each(episodes)])

    def _trained_logits(self, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        weights: Weights = self.adaptable_weights()
        for _ in range(self.settings.adaptation_steps):
            weights = self.adapt(weights, support, create_graph=self.settings.order == 2)
        return self._forward(weights, query.flatten(0, 1))

    def adaptable_weights(self) -> dict[str, torch.Tensor]:
        """The first weights that adaptation changes, by name: all, or all but BatchNorm's."""
        fixed: set[str] = set()
        if not self.settings.adapt_batch_norm:
            for name, module in self.network.named_modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
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
