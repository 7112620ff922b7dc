"""How long a training step takes here: measured, where nothing like it ever ran."""

from __future__ import annotations

import dataclasses
import time

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.execution_path import ExecutionPath
from fsl_core.recipe import TrainingRecipe
from fsl_core.sampler import EpisodeSampler
from fsl_core.training import StepSettings, TrainingState, start_training, train_step

ENOUGH_SECONDS = 1.0


def measure_step_seconds(
    recipe: TrainingRecipe, *, dataset: SplitDataset, device: str = "cpu", threads: int = 1, steps: int = 3
) -> float:
    """The seconds of one training step of ``recipe``: the fastest of at most ``steps`` real ones after a first that is not counted.

    No further step is timed after ``ENOUGH_SECONDS``: long steps vary little. One episode of the meta-batch is timed and counted as
    often as there are episodes: they are differentiated one after another.
    """
    with ExecutionPath(device=device, threads=threads).active() as there:
        bank = dataset.meta_train.to(there)
        algorithm = build_algorithm(recipe, image_shape=bank.image_shape, stage="probe", device=there)
        state = start_training(algorithm, recipe.optimiser)
        sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "probe/episodes")
        settings = StepSettings.of(recipe, episodes_at_once=1)
        one = dataclasses.replace(settings, meta_batch_size=1)
        _timed_step(state, sampler, one, there)
        seconds: list[float] = []
        while len(seconds) < steps and sum(seconds) < ENOUGH_SECONDS:
            seconds.append(_timed_step(state, sampler, one, there))
    return min(seconds) * recipe.meta_batch_size


def _timed_step(state: TrainingState, sampler: EpisodeSampler, settings: StepSettings, device: torch.device) -> float:
    started = time.perf_counter()
    train_step(state, sampler, settings)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
