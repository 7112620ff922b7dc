"""BatchNorm's running statistics: averages over training batches, by which a trained network normalises."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights

_MOMENTUM = 0.1
_MEAN, _VARIANCE = ".running_mean", ".running_var"


def initial_running_statistics(norms: Mapping[str, int]) -> Weights:
    """Mean 0 and variance 1 for each channel of the named layers, without a group axis."""
    means = {name + _MEAN: torch.zeros(channels) for name, channels in norms.items()}
    return means | {name + _VARIANCE: torch.ones(channels) for name, channels in norms.items()}


def as_layer_statistics(running: Mapping[str, torch.Tensor]) -> Statistics:
    """Running statistics ``[S, F]`` by layer, as the backbone takes them."""
    names = [name.removesuffix(_MEAN) for name in running if name.endswith(_MEAN)]
    return {name: LayerStatistics(running[name + _MEAN], running[name + _VARIANCE], count=1) for name in names}


@torch.no_grad()
def update_running_statistics(running: Mapping[str, torch.Tensor], batch: Statistics) -> None:
    """Move running statistics ``[S, F]`` a tenth of the way to those of a batch, in place, with the unbiased variance.

    A step moves them once, by the mean over its episodes.
    """
    for name, values in batch.items():
        unbiased = values.variance * (values.count / max(1, values.count - 1))
        running[name + _MEAN].mul_(1 - _MOMENTUM).add_(values.mean, alpha=_MOMENTUM)
        running[name + _VARIANCE].mul_(1 - _MOMENTUM).add_(unbiased, alpha=_MOMENTUM)
