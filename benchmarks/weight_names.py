"""One name for a weight whoever trains it, so that networks can be given the same weights and their gradients compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

_PREFIXES = {"backbone.": "", "network.0.": "", "network.1.": "head."}


def plain_name(name: str) -> str:
    """``blocks.0.conv.weight`` of ``backbone.blocks.0.conv.weight``; the last layer of MAML is ``head``."""
    for prefix, plain in _PREFIXES.items():
        if name.startswith(prefix):
            return plain + name.removeprefix(prefix)
    return name


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of a network's weights."""
    return {plain_name(name): weight.detach().clone() for name, weight in network.named_parameters()}


def take_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a network those weights that it has; a bias that they lack becomes zero, for BatchNorm takes it away again.

    Raises:
        KeyError: if they lack another of its weights.
    """
    with torch.no_grad():
        for name, weight in network.named_parameters():
            plain = plain_name(name)
            if plain in weights or not plain.endswith("conv.bias"):
                weight.copy_(weights[plain])
            else:
                weight.zero_()


def gradients_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients that lie in a network's weights."""
    named = network.named_parameters()
    return {plain_name(name): weight.grad.detach().clone() for name, weight in named if weight.grad is not None}
