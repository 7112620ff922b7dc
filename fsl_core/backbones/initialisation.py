"""Initial weights, each sampled from its own stream and not from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch

from fsl_core.backbones.weights import Weights
from fsl_core.randomness import Stream, standard_normal, uniform
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings

Draw = Callable[[int, tuple[int, ...]], torch.Tensor]
"""Samples initial weights from a stream's key, in float64: of a convolution ``[out, in, 3, 3]``, a linear layer ``[out, in]`` or the scales
of a BatchNorm ``[channels]``."""

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


def ones(_: int, shape: tuple[int, ...]) -> torch.Tensor:
    """1 everywhere, as PyTorch's BatchNorm starts since version 1.2."""
    return torch.ones(shape, dtype=torch.float64)


def backbone_draw(settings: Conv4Settings | MlpSettings) -> Draw:
    """The initialisation of a backbone's convolutions and linear layers."""
    # Paper: no paper states its initialisation. `finn_2017` is that of MAML's authors' code, `pytorch_2018` that of the codes in PyTorch.
    if settings.initialisation != "finn_2017":
        return uniform_by_fan_in
    return xavier_uniform if isinstance(settings, Conv4Settings) else truncated_normal


def scale_draw(settings: Conv4Settings | MlpSettings) -> Draw:
    """The initialisation of the scales of a backbone's BatchNorm: before version 1.2, PyTorch's were uniform in [0, 1)."""
    return uniform if settings.initialisation == "pytorch_2018" else ones


def head_draw(settings: Conv4Settings | MlpSettings) -> Draw:
    """The initialisation of MAML's last layer behind such a backbone; in the authors' code, standard normal behind strides."""
    if settings.initialisation != "finn_2017" or not isinstance(settings, Conv4Settings):
        return backbone_draw(settings)
    return standard_normal if settings.downsampling == "stride" else xavier_uniform


def initial_head(settings: Conv4Settings | MlpSettings, outputs: int, features: int, stream: Stream) -> Weights:
    """The initial ``weight`` ``[outputs, features]`` and ``bias`` ``[outputs]`` of MAML's last layer behind such a backbone."""
    bias = settings.initialisation == "pytorch_2018"
    return initial_linear(outputs, features, stream, draw=head_draw(settings), bias=bias)


def initial_linear(outputs: int, inputs: int, stream: Stream, *, draw: Draw = uniform_by_fan_in, bias: bool = False) -> Weights:
    """The initial ``weight`` ``[outputs, inputs]`` and ``bias`` ``[outputs]`` of a linear layer.

    With ``bias`` the bias is uniform within 1 / sqrt(inputs), PyTorch's default, and otherwise 0.
    """
    values = initial_values({"weight": (outputs, inputs)}, stream, draw)
    if not bias:
        return {**values, "bias": torch.zeros(outputs)}
    return values | initial_values({"bias": (outputs,)}, stream, partial(uniform_within, 1 / math.sqrt(inputs)))


def initial_values(shapes: Mapping[str, tuple[int, ...]], stream: Stream, draw: Draw) -> Weights:
    """The initial values of the named tensors, float32 on the CPU, each sampled from the part of ``stream`` that has its name.

    A tensor's values do not depend on the other tensors.
    """
    return {name: draw(stream.within(name).key, shape).to(torch.float32) for name, shape in shapes.items()}
