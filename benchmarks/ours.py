"""Our training step, through fsl_core's public functions: the only file to adapt when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import torch

from benchmarks.weight_names import plain_name
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.path_choice import choose_path
from fsl_core.training.state import start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_kind import StepKind
from fsl_core.training.step_runner import step_runner

_PATHS = ExitStack()  # entered for the rest of the process


def step(recipe: TrainingRecipe, bank: ImageBank, *, threads: int) -> Callable[[], None]:
    """Return a function that takes one training step, including sampling, on the fastest measured path with this many threads."""
    kind = StepKind(recipe=recipe, image_shape=bank.image_shape, device="cpu", threads=threads)
    path = choose_path(kind, None)
    device = _PATHS.enter_context(path.active())
    state = start_training(
        build_algorithm(recipe, image_shape=bank.image_shape),
        recipe.optimiser,
        streams=[Stream(recipe.seed, "train/weights")],
        kernels=path.kernels,
        device=device,
        captured=path.captured,
    )
    sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "train/episodes", recipe.data.distinct_characters)
    settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
    return step_runner(state, [sampler], settings, captured=path.captured, compiled=path.compiled)


def loss_and_gradient(
    recipe: TrainingRecipe, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of a meta-batch at given weights and its gradient by weight name, in the precision of the episodes."""
    channels, height, width = episodes.support.shape[-3:]
    image_shape = (channels, height, width)
    algorithm = build_algorithm(recipe, image_shape=image_shape)
    own = {name: weights[plain_name(name)].unsqueeze(0) for name in algorithm.initial_weights(Stream(0, "names"))}
    kernels = StepKind(recipe=recipe, image_shape=image_shape, device="cpu", threads=1).usual_path().kernels
    meta = algorithm.meta_gradient(own, episodes, loss_factor=recipe.outer_loss_factor, kernels=kernels)
    return meta.loss.squeeze(0), {plain_name(name): gradient.squeeze(0) for name, gradient in meta.gradient.items()}
