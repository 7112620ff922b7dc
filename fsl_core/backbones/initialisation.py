"""First weights, each from a stream of its own rather than from torch's global generator."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, TypeVar

from torch import nn

from fsl_core.errors import UninitialisedError
from fsl_core.randomness import Stream, uniform

Layer = TypeVar("Layer", bound=nn.Module)


def uninitialised(kind: type[Layer], *sizes: int, **settings: Any) -> Layer:
    """A layer whose weights have shapes and no values before :func:`initialise`: they are on the meta device."""
    return kind(*sizes, device="meta", **settings)


def initialise(module: nn.Module, *, stream: Stream) -> None:
    """Give every convolution, linear layer and LSTM in ``module`` its first weights, on the CPU.

    They are uniform within one over the root of the fan-in, and biases of linear layers are zero; those of LSTMs, biases too, are
    uniform within one over the root of the hidden size. Each is drawn from the part of ``stream`` that has its name in ``module``: it
    does not depend on which other layers there are.
    """
    # Paper: none states its initialisation. These are the widths of PyTorch's defaults. MAML's authors' code has others: the head's
    # weights are normal with deviation 1 on Omniglot.
    for name, part, own, weights in _weights(module):
        if isinstance(part, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(part.weight[0].numel()) if own == "weight" else 0.0
        elif isinstance(part, nn.LSTM | nn.LSTMCell):
            bound = 1 / math.sqrt(part.hidden_size)
        else:
            continue
        values = uniform(stream.within(name).key, tuple(weights.shape)).mul_(2).sub_(1).mul_(bound)  # in place: LSTMs are large
        setattr(part, own, nn.Parameter(values.to(weights.dtype)))


def _weights(module: nn.Module) -> Iterator[tuple[str, nn.Module, str, nn.Parameter]]:
    """Each parameter: its name in ``module``, the layer that has it, its name there, and itself."""
    for prefix, part in module.named_modules():
        for own, weights in list(part.named_parameters(recurse=False)):
            yield f"{prefix}.{own}".removeprefix("."), part, own, weights


def check_initialised(module: nn.Module) -> None:
    """Raises UninitialisedError if a parameter or a buffer of ``module`` has no values yet."""
    named = chain(module.named_parameters(), module.named_buffers())
    if missing := [name for name, values in named if values.is_meta]:
        raise UninitialisedError(f"nothing initialises {', '.join(missing)} of {type(module).__name__}")
