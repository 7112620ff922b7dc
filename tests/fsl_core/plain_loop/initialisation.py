"""First weights, each from a stream of its own rather than from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

from fsl_core.randomness import Stream, standard_normal, uniform
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings

Layer = TypeVar("Layer", bound=nn.Module)
Draw = Callable[[int, tuple[int, ...]], torch.Tensor]
"""Draws the first weights of a convolution ``[out, in, 3, 3]`` or a linear layer ``[out, in]`` by a stream's key, in float64."""

_TRUNCATED_STD = 0.01
_TRUNCATED_AT = 2  # standard deviations


def uniform_by_fan_in(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform within one over the root of the fan-in: the width of PyTorch's defaults."""
    return _within(1 / math.sqrt(math.prod(shape[1:])), key, shape)


def xavier_uniform(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform with the variance 2 / (fan-in + fan-out), each counted over the kernel's pixels (Glorot and Bengio 2010, equation 16)."""
    fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    return _within(math.sqrt(6 / (fan_in + fan_out)), key, shape)


def truncated_normal(key: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal with deviation 0.01, given that it lies within two deviations: by the inverse of the distribution function."""
    below = torch.special.ndtr(torch.tensor(-_TRUNCATED_AT, dtype=torch.float64))
    values: torch.Tensor = _TRUNCATED_STD * torch.special.ndtri(below + uniform(key, shape) * (1 - 2 * below))
    return values


def _within(bound: float, key: int, shape: tuple[int, ...]) -> torch.Tensor:
    return uniform(key, shape).mul_(2).sub_(1).mul_(bound)  # in place: the weights of LSTMs are large


def backbone_draw(settings: BackboneSettings) -> Draw:
    """How the weights of a backbone's layers are drawn."""
    # Paper: none states its initialisation. `finn_2017` is that of MAML's authors' code.
    if settings.initialisation == "fan_in":
        return uniform_by_fan_in
    return xavier_uniform if isinstance(settings, Conv4Settings) else truncated_normal


def head_draw(settings: BackboneSettings) -> Draw:
    """How the weights of MAML's last layer are drawn, behind such a backbone: normal with deviation 1 behind strides, in the code."""
    if settings.initialisation == "fan_in" or not isinstance(settings, Conv4Settings):
        return backbone_draw(settings)
    return standard_normal if settings.downsampling == "stride" else xavier_uniform


def uninitialised(kind: type[Layer], *sizes: int, **settings: Any) -> Layer:
    """A layer whose weights have shapes and no values before :func:`initialise`: they are on the meta device."""
    return kind(*sizes, device="meta", **settings)


def initialise(module: nn.Module, *, stream: Stream, draw: Draw = uniform_by_fan_in) -> None:
    """Give every convolution, linear layer and LSTM in ``module`` its first weights, on the CPU.

    ``draw`` draws the weights of convolutions and linear layers, whose biases are zero; those of LSTMs, biases too, are uniform within
    one over the root of the hidden size. Each is drawn from the part of ``stream`` that has its name in ``module``: it does not depend
    on which other layers there are. Layers of other kinds stay as they are.
    """
    for name, part, own, weights in _weights(module):
        key, shape = stream.within(name).key, tuple(weights.shape)
        if isinstance(part, nn.Conv2d | nn.Linear):
            values = draw(key, shape) if own == "weight" else torch.zeros(shape)
        elif isinstance(part, nn.LSTM | nn.LSTMCell):
            values = _within(1 / math.sqrt(part.hidden_size), key, shape)
        else:
            continue
        setattr(part, own, nn.Parameter(values.to(weights.dtype)))


def _weights(module: nn.Module) -> Iterator[tuple[str, nn.Module, str, nn.Parameter]]:
    """Each parameter: its name in ``module``, the layer that has it, its name there, and itself."""
    for prefix, part in module.named_modules():
        for own, weights in list(part.named_parameters(recurse=False)):
            yield f"{prefix}.{own}".removeprefix("."), part, own, weights


def check_initialised(module: nn.Module) -> None:
    """Raises AssertionError if a parameter or a buffer of ``module`` has no values yet."""
    named = chain(module.named_parameters(), module.named_buffers())
    if missing := [name for name, values in named if values.is_meta]:
        raise AssertionError(f"nothing initialises {', '.join(missing)} of {type(module).__name__}")
