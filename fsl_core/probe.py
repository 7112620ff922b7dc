"""How long a training step takes here: measured, where nothing like it ever ran."""

from __future__ import annotations

import time

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.execution_path import ExecutionPath
from fsl_core.recipe import TrainingRecipe
from fsl_core.sampler import EpisodeSampler
from fsl_core.training import TrainingState, outer_lr_at, start_training, train_step


def measure_step_seconds(
    recipe: TrainingRecipe, *, dataset: SplitDataset, device: str = "cpu", threads: int = 1, steps: int = 3
) -> float:
    """The seconds of one training step of ``recipe``: the fastest of ``steps`` real ones after a first that is not counted."""
    with ExecutionPath(device=device, threads=threads).active() as there:
        bank = dataset.meta_train.to(there)
        state = start_training(
            build_algorithm(recipe, channels=bank.images.shape[1], stage="probe", device=there), recipe.optimiser
        )
        sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "probe/episodes")
        seconds = [_timed_step(state, sampler, recipe, there) for _ in range(steps + 1)]
    return min(seconds[1:])


def _timed_step(state: TrainingState, sampler: EpisodeSampler, recipe: TrainingRecipe, device: torch.device) -> float:
    started = time.perf_counter()
    train_step(state, sampler, meta_batch_size=recipe.meta_batch_size, outer_lr=outer_lr_at(recipe.optimiser, state.step))
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
