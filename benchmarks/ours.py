"""Our training step, through fsl_core's public functions: the one file to mend where these change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.weight_names import gradients_of, take_weights
from fsl_core.algorithms.algorithm import query_labels
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.training import StepSettings, start_training, train_step

_PATHS = ExitStack()  # entered for the rest of the process


def step(recipe: TrainingRecipe, bank: ImageBank, *, threads: int) -> Callable[[], None]:
    """What takes one training step, episodes and all, with so many threads."""
    _PATHS.enter_context(ExecutionPath(threads=threads).active())
    state = start_training(build_algorithm(recipe, image_shape=bank.image_shape, stage="train"), recipe.optimiser)
    sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "train/episodes", recipe.data.distinct_characters)
    settings = StepSettings.of(recipe, episodes_at_once=1)
    return lambda: train_step(state, sampler, settings)


def loss_and_gradient(
    recipe: TrainingRecipe, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of a meta-batch under given weights and its gradient by the weights' names, in the precision of the episodes."""
    images = episodes.support
    algorithm: Any = build_algorithm(recipe, image_shape=tuple(images.shape[-3:]), stage="train").to(images.dtype)
    take_weights(algorithm, weights)
    logits = algorithm.training_logits(episodes).flatten(0, 1)
    loss = algorithm.training_loss(logits, query_labels(episodes.shape).repeat(len(episodes)))
    (loss * recipe.outer_loss_factor).backward()
    return loss.detach(), gradients_of(algorithm)
