"""One training step: sample episodes, compute their gradient, and descend it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fsl_core.algorithms.algorithm import MetaGradient
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.running_statistics import update_running_statistics
from fsl_core.backbones.weights import LayerStatistics, Statistics
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe
from fsl_core.training.optimiser import descend
from fsl_core.training.state import TrainingState

GradientFunction = Callable[..., MetaGradient]
"""Computes a meta-gradient as :meth:`fsl_core.algorithms.algorithm.Algorithm.meta_gradient` does."""


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """The settings of one training step.

    Each seed samples ``meta_batch_size`` episodes and differentiates ``episodes_at_once`` of them at a time, which bounds memory and
    does not change the gradient. The loss is the algorithm's mean over the queries, times ``loss_factor``. ``gradient`` computes the
    meta-gradient in place of the algorithm itself.
    """

    optimiser: OptimiserSettings
    meta_batch_size: int = 1
    episodes_at_once: int = 1
    loss_factor: float = 1.0
    kernels: Kernels = Kernels()  # noqa: RUF009 - it is frozen
    gradient: GradientFunction | None = None

    @staticmethod
    def of(recipe: TrainingRecipe, *, episodes_at_once: int, kernels: Kernels) -> StepSettings:
        """The settings of a recipe's steps."""
        return StepSettings(
            optimiser=recipe.optimiser,
            meta_batch_size=recipe.meta_batch_size,
            episodes_at_once=episodes_at_once,
            loss_factor=recipe.outer_loss_factor,
            kernels=kernels,
        )


def train_step(state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings) -> None:
    """Take one optimiser step on the next episodes of each seed, from its own sampler."""
    advance(state, samplers, settings, step=state.step)
    state.step += 1


def advance(
    state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings, *, step: int | torch.Tensor
) -> None:
    """The part of a step on the device, where ``step`` may be a tensor; nothing is read back."""
    # Paper: every step samples new episodes. MAML's authors' code samples 200,000 beforehand and reuses them.
    batches = [sampler.batch(step, settings.meta_batch_size) for sampler in samplers]
    meta = meta_gradient(state, batches, settings)
    descend(state, meta.gradient, settings.optimiser)
    update_running_statistics(state.statistics, meta.statistics)
    state.interval_loss += meta.loss
    state.interval_accuracy += meta.accuracy
    state.clock += 1


def meta_gradient(state: TrainingState, batches: Sequence[EpisodeBatch], settings: StepSettings) -> MetaGradient:
    """The meta-gradient of each seed's episodes, computed for ``episodes_at_once`` of them at a time."""
    size = settings.episodes_at_once
    compute: GradientFunction = settings.gradient or state.algorithm.meta_gradient
    parts = [
        (
            compute(state.weights, joined(part), loss_factor=settings.loss_factor, kernels=settings.kernels),
            len(part[0]) / len(batches[0]),
        )
        for part in zip(*(batch.parts(size) for batch in batches), strict=True)
    ]
    return parts[0][0] if len(parts) == 1 else _mean(parts)


def joined(batches: Sequence[EpisodeBatch]) -> EpisodeBatch:
    """Join the episodes of all batches in order."""
    if len(batches) == 1:
        return batches[0]
    words = [batch.words for batch in batches if batch.words is not None]
    return EpisodeBatch(
        support=torch.cat([batch.support for batch in batches]),
        query=torch.cat([batch.query for batch in batches]),
        words=torch.cat(words) if words else None,
    )


def _mean(parts: Sequence[tuple[MetaGradient, float]]) -> MetaGradient:
    """The weighted mean of parts of a meta-batch, each given with its share."""
    total, share = parts[0]
    gradient = {name: values * share for name, values in total.gradient.items()}
    loss, accuracy = total.loss * share, total.accuracy * share
    for part, share in parts[1:]:
        for name, values in part.gradient.items():
            gradient[name].add_(values, alpha=share)
        loss, accuracy = loss + part.loss * share, accuracy + part.accuracy * share
    return MetaGradient(gradient=gradient, statistics=_mean_statistics(parts), loss=loss, accuracy=accuracy)


def _mean_statistics(parts: Sequence[tuple[MetaGradient, float]]) -> Statistics:
    def mean(name: str) -> LayerStatistics:
        own = [(part.statistics[name], share) for part, share in parts]
        return LayerStatistics(
            mean=torch.stack([values.mean * share for values, share in own]).sum(dim=0),
            variance=torch.stack([values.variance * share for values, share in own]).sum(dim=0),
            count=own[0][0].count,
        )

    return {name: mean(name) for name in parts[0][0].statistics}
