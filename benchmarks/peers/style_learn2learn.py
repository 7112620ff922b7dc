"""A stand-in for learn2learn (github.com/learnables/learn2learn), whose release no longer builds: our code in its style.

A module is cloned for each episode, weight by weight and differentiably; its weights are replaced by updated ones after each step.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers.learner import Learner, MamlLearner, labels
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.recipe import TrainingRecipe


def learner(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Learner:
    """The learner of a recipe of MAML."""
    return ClonedMaml(recipe, image_shape)


class ClonedMaml(MamlLearner):
    """MAML on clones of the module."""

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        total = torch.zeros((), dtype=episodes.support.dtype)
        for support, query in zip(episodes.support, episodes.query, strict=True):
            clone = cloned(self.network)
            for _ in range(self.settings.adaptation_steps):
                self._adapt(clone, loss_of(clone, support))
            loss = loss_of(clone, query)
            loss.backward()
            total += loss.detach()
        for weight in self.network.parameters():
            if weight.grad is not None:
                weight.grad.mul_(1 / len(episodes))
        return total / len(episodes)

    def _adapt(self, clone: nn.Module, loss: torch.Tensor) -> None:
        second = self.settings.order == 2
        gradients = torch.autograd.grad(loss, list(clone.parameters()), create_graph=second, retain_graph=second)
        updates = dict(zip([name for name, _ in clone.named_parameters()], gradients, strict=True))
        update(clone, updates, self.settings.inner_lr)


def cloned(module: nn.Module) -> nn.Module:
    """A copy of a module whose weights are differentiable copies of its own."""
    clone = copy.copy(module)
    clone._parameters = {name: None if own is None else own.clone() for name, own in module._parameters.items()}  # type: ignore[misc]
    clone._buffers = module._buffers.copy()
    clone._modules = {name: None if own is None else cloned(own) for name, own in module._modules.items()}
    return clone


def update(module: nn.Module, gradients: dict[str, torch.Tensor], rate: float, *, prefix: str = "") -> None:
    """Subtract ``rate`` times its gradient from each weight of a clone."""
    for name, weight in module._parameters.items():
        if weight is not None:
            module._parameters[name] = weight - rate * gradients[prefix + name]  # type: ignore[assignment]
    for name, part in module._modules.items():
        if part is not None:
            update(part, gradients, rate, prefix=f"{prefix}{name}.")


def loss_of(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of images ``[way, count, C, H, W]``."""
    way, count = images.shape[:2]
    return functional.cross_entropy(module(images.flatten(0, 1)), labels(way, count))
