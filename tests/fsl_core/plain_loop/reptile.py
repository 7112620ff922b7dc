"""Reptile. Nichol, Achiam and Schulman, "On First-Order Meta-Learning Algorithms", 2018 (arXiv 1803.02999), one episode after another.

Algorithm 2: for each of n tasks, ``W_i = U^k(phi)``, k steps of SGD or Adam on batches of the task, and then
``phi <- phi + epsilon * mean_i(W_i - phi)``. The optimisers are torch's own.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fsl_core.algorithms.reptile import ReptileSettings


def optimiser_of(settings: ReptileSettings, network: nn.Module) -> torch.optim.Optimizer:
    """The inner optimiser, without any state of earlier episodes."""
    if settings.inner_optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), lr=settings.inner_lr)
    return torch.optim.Adam(network.parameters(), lr=settings.inner_lr, betas=(0.0, 0.999))


def trained(network: nn.Module, settings: ReptileSettings, support: torch.Tensor, batches: Sequence[Sequence[int]]) -> nn.Module:
    """A copy of the network after a step on each of the batches, which number the images of ``support`` ``[way, shot, ...]``."""
    network, images, shot = copy.deepcopy(network), support.flatten(0, 1), support.shape[1]
    optimiser = optimiser_of(settings, network)
    for number, batch in enumerate(batches):
        for group in optimiser.param_groups:
            # Torch adds epsilon to the corrected root, TensorFlow to the root before it is corrected.
            group["eps"] = 1e-8 / math.sqrt(1 - 0.999 ** (number + 1))
        loss = nn.functional.cross_entropy(network(images[list(batch)]), torch.tensor([image // shot for image in batch]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def moved(network: nn.Module, adapted: Sequence[nn.Module], epsilon: float) -> dict[str, torch.Tensor]:
    """The weights after a meta-step."""
    every: list[dict[str, Any]] = [dict(own.named_parameters()) for own in adapted]
    return {
        name: (phi + epsilon * torch.stack([own[name] - phi for own in every]).mean(dim=0)).detach()
        for name, phi in network.named_parameters()
    }
