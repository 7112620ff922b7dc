"""The interface of peers: compute a meta-batch's gradient into the weights, and take Adam's step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from benchmarks.peers.stock_network import StockNetwork
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.recipe import TrainingRecipe


class Learner(ABC):
    """A peer's network, its other trained modules, and its optimiser."""

    def __init__(self, recipe: TrainingRecipe, network: nn.Module, *others: nn.Module) -> None:
        self.recipe = recipe
        self.network = network
        self.trained = nn.ModuleList([network, *others])
        self.optimiser = torch.optim.Adam(self.trained.parameters(), lr=recipe.optimiser.outer_lr)

    @abstractmethod
    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Compute the gradient of a meta-batch's mean loss into the weights, and return that loss."""

    def step(self, episodes: EpisodeBatch) -> None:
        """One step of training."""
        self.trained.train()
        self.optimiser.zero_grad()
        self.backward(episodes)
        if self.recipe.optimiser.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.trained.parameters(), self.recipe.optimiser.clip_norm)
        self.optimiser.step()


class MamlLearner(Learner):
    """An adapting peer, with a last layer and the settings of MAML.

    Raises:
        ValueError: if the recipe is not of MAML as the peers have it: mean losses, BatchNorm's weights adapted.
    """

    def __init__(self, recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> None:
        super().__init__(recipe, StockNetwork(recipe, image_shape, way=recipe.episode.way))
        settings = recipe.algorithm
        if not isinstance(settings, MamlSettings):
            raise ValueError(f"{type(self).__name__} takes MAML's steps, not those of {settings.name}")
        if (settings.inner_reduction, settings.outer_reduction, settings.adapt_batch_norm) != ("mean", "mean", True):
            raise ValueError("the peers take the mean of the losses and adapt BatchNorm too")
        self.settings = settings


def labels(way: int, images: int) -> torch.Tensor:
    """The labels of ``images`` images of each class, class by class: int64 ``[way * images]``."""
    return torch.arange(way).repeat_interleave(images)
