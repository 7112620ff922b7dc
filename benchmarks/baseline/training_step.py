"""The training step of commit 3b468da, word for word but for what only the curves need; on an episode at a time, as that loop ran.

What it computes is what ours computes: the tests hold the two gradients together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.allocator import keep_freed_memory
from benchmarks.baseline.catalogue import build_algorithm
from benchmarks.baseline.labels import query_labels
from benchmarks.baseline.sampler import EpisodeSampler
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe


def step(recipe: TrainingRecipe, bank: ImageBank, *, threads: int) -> Callable[[], None]:
    """What takes one training step, episodes and all, with so many threads."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    algorithm = build_algorithm(recipe, image_shape=bank.image_shape)
    sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, "train/episodes")
    training = Training(algorithm, recipe)
    return lambda: training.step(sampler)


class Training:
    """Where a training stands: the algorithm, its optimiser, how many steps were taken, and the sums of the interval."""

    def __init__(self, algorithm: nn.Module, recipe: TrainingRecipe) -> None:
        self.algorithm: Any = algorithm
        self.recipe = recipe
        self.optimiser = torch.optim.Adam(algorithm.parameters(), lr=recipe.optimiser.outer_lr, fused=True)
        self.taken = 0
        self.interval_loss = torch.zeros((), dtype=torch.float64)
        self.interval_accuracy = torch.zeros((), dtype=torch.float64)

    def step(self, sampler: EpisodeSampler) -> None:
        """One optimiser step on the next episodes."""
        self.algorithm.train()
        for group in self.optimiser.param_groups:
            group["lr"] = outer_lr_at(self.recipe.optimiser, self.taken)
        self.optimiser.zero_grad(set_to_none=True)
        self.add_gradients(sampler.batch(self.taken, self.recipe.meta_batch_size))
        _clip(self.algorithm, self.recipe.optimiser)
        self.optimiser.step()
        self.taken += 1

    def add_gradients(self, episodes: EpisodeBatch) -> None:
        """Add the gradient of the meta-batch to the parameters', an episode at a time, and its loss to the interval's sum."""
        for part in episodes.parts(1):
            self._add_gradient(part, share=len(part) / len(episodes))

    def _add_gradient(self, episodes: EpisodeBatch, *, share: float) -> None:
        logits = self.algorithm.training_logits(episodes).flatten(0, 1)
        labels = query_labels(episodes.shape, device=logits.device).repeat(len(episodes))
        loss = nn.functional.cross_entropy(logits, labels) * share
        (loss * self.recipe.outer_loss_factor).backward()
        self.interval_loss += loss.detach()
        self.interval_accuracy += (logits.detach().argmax(dim=1) == labels).double().mean() * share


def outer_lr_at(settings: OptimiserSettings, step: int) -> float:
    """The learning rate of the step that follows ``step`` finished ones."""
    if settings.halve_every is None:
        return settings.outer_lr
    return settings.outer_lr * 0.5 ** (step // settings.halve_every)


def _clip(algorithm: nn.Module, settings: OptimiserSettings) -> None:
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(algorithm.parameters(), settings.clip_norm)
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(algorithm.parameters(), settings.clip_value)
