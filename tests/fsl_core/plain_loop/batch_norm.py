"""BatchNorm as the backbones have it, and the statistics that it normalises by, read off one batch to normalise another by them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fsl_core.recipe.backbone_settings import BackboneSettings

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
"""The layers of BatchNorm that backbones have."""


def batch_norm(kind: type[nn.BatchNorm1d | nn.BatchNorm2d], channels: int, settings: BackboneSettings) -> nn.Module:
    """A layer of BatchNorm with a scale and a shift, or a shift alone, as the settings say; they begin at 1 and 0."""
    running = settings.batch_norm == "running"
    layer = kind(channels, eps=settings.batch_norm_epsilon, track_running_stats=running)
    if not settings.batch_norm_scale:
        del layer.weight  # of ones, as a buffer: torch cannot differentiate twice a BatchNorm that has no weight
        layer.register_buffer("weight", torch.ones(channels))
    return layer


@contextmanager
def noted_statistics(network: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """What each BatchNorm of ``network`` normalises a batch by that passes it inside: the mean and the biased variance, each ``[C]``.

    They are named as the layers' running statistics are, so that :func:`torch.func.functional_call` puts them in their place: a network
    in evaluation mode then normalises another batch by them.
    """
    noted: dict[str, torch.Tensor] = {}

    def note(name: str, values: torch.Tensor) -> None:
        others = [dimension for dimension in range(values.dim()) if dimension != 1]
        variance, mean = torch.var_mean(values, dim=others, correction=0)
        noted[f"{name}.running_mean"], noted[f"{name}.running_var"] = mean, variance

    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: note(name, *inputs))
        for name, layer in network.named_modules()
        if isinstance(layer, BATCH_NORM)
    ]
    try:
        yield noted
    finally:
        for handle in handles:
            handle.remove()
