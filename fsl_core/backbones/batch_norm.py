"""The statistics that BatchNorm normalises by, read off one batch so that another can be normalised by them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)
"""The layers of BatchNorm that backbones have."""


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
