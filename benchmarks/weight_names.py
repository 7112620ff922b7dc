"""Common names of weights, so that all contenders can get the same weights and their gradients be compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

_PREFIXES = {"backbone.": "", "network.0.": "", "network.1.": "head."}


def plain_name(name: str) -> str:
    """The common name: ``blocks.0.conv.weight`` for ``backbone.blocks.0.conv.weight``; MAML's last layer is ``head``."""
    for prefix, plain in _PREFIXES.items():
        if name.startswith(prefix):
            return plain + name.removeprefix(prefix)
    return name


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of a network's weights."""
    return {plain_name(name): weight.detach().clone() for name, weight in network.named_parameters()}


def take_weights(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    """Load weights into a network; a bias that they lack becomes zero, as BatchNorm removes it.

    Raises:
        KeyError: if another of its weights is missing.
    """
    with torch.no_grad():
        for name, weight in network.named_parameters():
            plain = plain_name(name)
            if plain in weights or not plain.endswith("conv.bias"):
                weight.copy_(weights[plain])
            else:
                weight.zero_()


def gradients_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients of a network's weights."""
    named = network.named_parameters()
    return {plain_name(name): weight.grad.detach().clone() for name, weight in named if weight.grad is not None}
