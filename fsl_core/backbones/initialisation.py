"""Initial weights, each sampled from its own stream and not from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from fsl_core.backbones.weights import Weights
from fsl_core.randomness import Stream, standard_normal, uniform
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings

Draw = Callable[[int, tuple[int, ...]], torch.Tensor]
"""Samples the initial weights of a convolution ``[out, in, 3, 3]`` or a linear layer ``[out, in]`` from a stream's key, in float64."""

_TRUNCATED_STD = 0.01
_TRUNCATED_AT = 2  # standard deviations


def uniform_by_fan_in(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform within 1 / sqrt(fan-in), the bound of PyTorch's defaults."""
    return uniform_within(1 / math.sqrt(math.prod(shape[1:])), key, shape)


def xavier_uniform(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform with the variance 2 / (fan-in + fan-out), each counted over the kernel's pixels (Glorot and Bengio 2010, equation 16)."""
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    return uniform_within(math.sqrt(6 / (fan_in + fan_out)), key, shape)


def truncated_normal(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal with standard deviation 0.01, truncated at two deviations, by the inverse of the distribution function."""
    below = torch.special.ndtr(torch.tensor(-_TRUNCATED_AT, dtype=torch.float64))
    values: torch.Tensor = _TRUNCATED_STD * torch.special.ndtri(below + uniform(key, shape) * (1 - 2 * below))
    return values


def uniform_within(bound: float, key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform within ``bound`` of 0."""
    return uniform(key, shape).mul_(2).sub_(1).mul_(bound)  # in place: the weights of LSTMs are large


def backbone_draw(settings: Conv4Settings | MlpSettings) -> Draw:
    """The initialisation of a backbone's layers."""
    # Paper: no paper states its initialisation. `finn_2017` is that of MAML's authors' code.
    if settings.initialisation == "fan_in":
        return uniform_by_fan_in
    return xavier_uniform if isinstance(settings, Conv4Settings) else truncated_normal


def head_draw(settings: Conv4Settings | MlpSettings) -> Draw:
    """The initialisation of MAML's last layer behind such a backbone; in the code, standard normal behind strides."""
    if settings.initialisation == "fan_in" or not isinstance(settings, Conv4Settings):
        return backbone_draw(settings)
    return standard_normal if settings.downsampling == "stride" else xavier_uniform


def initial_values(shapes: Mapping[str, tuple[int, ...]], stream: Stream, draw: Draw) -> Weights:
    """The initial values of the named tensors, float32 on the CPU, each sampled from the part of ``stream`` that has its name.

    A tensor's values do not depend on the other tensors.
    """
    return {name: draw(stream.within(name).key, shape).to(torch.float32) for name, shape in shapes.items()}
