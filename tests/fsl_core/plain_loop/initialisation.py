"""First weights, each from a stream of its own rather than from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

from fsl_core.backbones.initialisation import Draw, uniform_by_fan_in, uniform_within
from fsl_core.randomness import Stream

Layer = TypeVar("Layer", bound=nn.Module)


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
            values = uniform_within(1 / math.sqrt(part.hidden_size), key, shape)
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
