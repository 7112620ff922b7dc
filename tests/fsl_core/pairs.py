"""A recipe's algorithm beside the plain loop that it replaced, in float64 and at the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fsl_core.algorithms.algorithm import query_labels
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.weights import Weights, one_group
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.plain_loop.catalogue import build_algorithm as build_plain

SHAPE = EpisodeShape(way=3, shot=2, query=2)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def recipe_of(algorithm: AlgorithmSettings, backbone: BackboneSettings, **changes: Any) -> TrainingRecipe:
    """A recipe of episodes of 3 classes; ``batch_norm`` of the backbone must suit the algorithm."""
    steps = 1 if algorithm.adapts else None
    validation = ValidationSettings(shape=SHAPE, every=5, patience=None, adaptation_steps=steps)
    return glyphs_recipe(**{"algorithm": algorithm, "backbone": backbone, "episode": SHAPE, "validation": validation, **changes})


@dataclass(frozen=True)
class Pair:
    """``learner`` is ours and ``plain`` the loop's module in training mode."""

    recipe: TrainingRecipe
    learner: Learner
    plain: Any

    @staticmethod
    def of(recipe: TrainingRecipe, *, image_shape: tuple[int, int, int] = (1, 18, 18), norms: bool = True) -> Pair:
        """Both at the first weights of the recipe; with ``norms`` BatchNorm's are random, and some scales negative or zero."""
        plain = build_plain(recipe, image_shape=image_shape, stage="select").double().train()
        if norms:
            _scatter_norms(plain)
        weights = one_group({name: value.detach().clone() for name, value in plain.named_parameters()})
        return Pair(recipe, Learner(build_algorithm(recipe, image_shape=image_shape), weights), plain)

    def plain_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """The loop's query scores ``[E, way * query, way]`` in training."""
        logits: torch.Tensor = self.plain.training_logits(episodes)
        return logits

    def plain_loss(self, episodes: EpisodeBatch) -> torch.Tensor:
        """The loop's mean loss over all queries, which it differentiates."""
        labels = query_labels(episodes.shape).repeat(len(episodes))
        loss: torch.Tensor = self.plain.training_loss(self.plain_logits(episodes).flatten(0, 1), labels)
        return loss

    def plain_gradient(self, episodes: EpisodeBatch) -> Weights:
        """The loop's gradient by the name of each weight; zeros where a loss does not depend on one."""
        named = dict(self.plain.named_parameters())
        loss = self.plain_loss(episodes) * self.recipe.outer_loss_factor
        gradients = torch.autograd.grad(loss, list(named.values()), allow_unused=True, materialize_grads=True)
        return dict(zip(named, gradients, strict=True))


def _scatter_norms(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(5)
    for layer in network.modules():
        if isinstance(layer, NORMS):
            with torch.no_grad():
                layer.bias.normal_(std=0.5, generator=generator)
                if isinstance(layer.weight, nn.Parameter):
                    layer.weight.normal_(generator=generator)
                    layer.weight[0], layer.weight[1] = 0.0, -layer.weight[1].abs()


def episodes_of(count: int, *, image_shape: tuple[int, int, int] = (1, 18, 18), seed: int = 0) -> EpisodeBatch:
    """Episodes of uniform noise in float64."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(count, SHAPE.way, images, *image_shape) for images in (SHAPE.shot, SHAPE.query)]
    return EpisodeBatch(*(torch.rand(size, generator=generator, dtype=torch.float64) for size in sizes))
