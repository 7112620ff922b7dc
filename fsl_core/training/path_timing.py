"""Measures the time of a training episode on an execution path, with random images instead of a data set."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.available_loops import check_loops_available
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.stand_in import stand_in_bank
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_runner import step_runner

_STEPS_ON_CUDA = 3  # the least counts: other processes may share the device, which takes their steps in between


def stopwatch_of(recipe: TrainingRecipe, path: ExecutionPath, image_shape: tuple[int, int, int]) -> Callable[[], float]:
    """Return a function that takes a training step on an active ``path`` and returns the seconds per episode.

    On a CPU they are processor seconds per thread, on CUDA wall clock. On a CPU a step has only as many episodes as are differentiated
    together: the others would take the same time.

    Raises:
        ExecutionPathError: the path needs loops that cannot be compiled here.
    """
    if path.stem == "loops":
        check_loops_available()
    recipe = replace(recipe, meta_batch_size=path.episodes_at_once) if path.device == "cpu" else recipe
    take_step = step_along(recipe, path, image_shape, torch.device(path.device))
    return lambda: _timed(take_step, path) / (recipe.meta_batch_size * path.seeds_together)


def step_along(
    recipe: TrainingRecipe, path: ExecutionPath, image_shape: tuple[int, int, int], device: torch.device
) -> Callable[[], None]:
    """Return a function that takes a training step of ``recipe`` on an active ``path``, with episodes of random images.

    Seeds that train together take it together.
    """
    return training_along(recipe, path, image_shape, device)[1]


def training_along(
    recipe: TrainingRecipe, path: ExecutionPath, image_shape: tuple[int, int, int], device: torch.device
) -> tuple[TrainingState, Callable[[], None]]:
    """The training whose steps :func:`step_along` takes: its state before the first one, and the function."""
    algorithm = build_algorithm(recipe, image_shape=image_shape)
    seeds = [recipe.seed + place for place in range(path.seeds_together)]
    streams = [Stream(seed, "probe/weights") for seed in seeds]
    state = start_training(
        algorithm, recipe.optimiser, streams=streams, kernels=path.kernels, device=device, captured=path.captured
    )
    bank = stand_in_bank(recipe.episode, image_shape, device)
    samplers = [EpisodeSampler(bank, recipe.episode, seed, "probe/episodes") for seed in seeds]
    settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
    return state, step_runner(state, samplers, settings, captured=path.captured, compiled=path.compiled)


def _timed(take_step: Callable[[], None], path: ExecutionPath) -> float:
    if path.device == "cuda":
        return min(_on_the_device(take_step) for _ in range(_STEPS_ON_CUDA))
    started = time.process_time()
    take_step()
    return (time.process_time() - started) / path.threads


def _on_the_device(take_step: Callable[[], None]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    take_step()
    torch.cuda.synchronize()
    return time.perf_counter() - started
