"""The meta-gradient of an algorithm whose loss is a differentiable function of weights and episodes, as most are."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fsl_core.algorithms.algorithm import MetaGradient, mean_of_groups
from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights

EpisodeLoss = Callable[[Weights], tuple[torch.Tensor, torch.Tensor, Statistics]]
"""Maps weights ``[S, ...]`` to the loss and accuracy of each of ``S * E`` episodes, and to its statistics ``[S * E, F]``."""


def gradient_of_episodes(loss_of: EpisodeLoss, weights: Weights, *, loss_factor: float) -> MetaGradient:
    """The gradient, by autograd, of the mean loss of each group's episodes times ``loss_factor``."""
    groups = len(next(iter(weights.values())))
    leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
    with torch.enable_grad():
        loss, accuracy, statistics = loss_of(leaves)
        # Groups are independent, so the gradient of the sum contains the gradient of each.
        total = mean_of_groups(loss, groups).sum() * loss_factor
        gradients = torch.autograd.grad(total, list(leaves.values()))
    return MetaGradient(
        gradient=dict(zip(leaves, gradients, strict=True)),
        statistics={name: _mean(values, groups) for name, values in statistics.items()},
        loss=mean_of_groups(loss.detach(), groups),
        accuracy=mean_of_groups(accuracy, groups),
    )


def _mean(statistics: LayerStatistics, groups: int) -> LayerStatistics:
    return LayerStatistics(
        mean=mean_of_groups(statistics.mean, groups),
        variance=mean_of_groups(statistics.variance, groups),
        count=statistics.count,
    )
