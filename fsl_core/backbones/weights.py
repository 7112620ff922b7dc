"""Weights and statistics as values: named tensors, each with a leading group axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

Weights = dict[str, torch.Tensor]
"""Named tensors ``[G, ...]``: one set of weights for each of ``G`` groups, the episodes or seeds computed together."""


@dataclass(frozen=True)
class LayerStatistics:
    """The statistics of a BatchNorm layer: ``mean`` and biased ``variance``, each ``[G, F]``, over ``count`` values per channel."""

    mean: torch.Tensor
    variance: torch.Tensor
    count: int


Statistics = dict[str, LayerStatistics]
"""The statistics of every BatchNorm layer, by the layer's name."""


def part(weights: Mapping[str, torch.Tensor], prefix: str) -> Weights:
    """The tensors whose names begin with ``prefix``, named without it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def prefixed(weights: Mapping[str, torch.Tensor], prefix: str) -> Weights:
    """The same tensors with ``prefix`` before their names."""
    return {prefix + name: value for name, value in weights.items()}


def one_group(weights: Mapping[str, torch.Tensor]) -> Weights:
    """Add a group axis of size 1."""
    return {name: value.unsqueeze(0) for name, value in weights.items()}


def of_group(weights: Mapping[str, torch.Tensor], group: int) -> Weights:
    """The tensors of one group, without the group axis."""
    return {name: value[group] for name, value in weights.items()}


def repeated(values: torch.Tensor, times: int) -> torch.Tensor:
    """Repeat each group ``times`` in a row, ``[S, ...]`` to ``[S * times, ...]``, in the same memory layout; the tensor itself for 1."""
    if times == 1:
        return values
    return in_layout_of(values.repeat_interleave(times, dim=0), values)


def in_layout_of(values: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """``values`` in channels-last order if ``model`` is."""
    return channels_last(values) if is_channels_last(model) else values


def channels_last(values: torch.Tensor) -> torch.Tensor:
    """Convolution weights ``[G, F, C, 3, 3]`` with the channels last in memory; any other tensor as it is."""
    if values.dim() != _KERNELS or is_channels_last(values):
        return values
    return values.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def is_channels_last(values: torch.Tensor) -> bool:
    """Whether convolution weights ``[G, F, C, 3, 3]`` have their channels last in memory."""
    return values.dim() == _KERNELS and values.permute(0, 1, 3, 4, 2).is_contiguous()


_KERNELS = 5  # axes of convolution weights, including the group axis
