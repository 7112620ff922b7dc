"""First weights, drawn from a stream of their own rather than from torch's global one."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


def undrawn(kind: type[Layer], *sizes: int, **settings: Any) -> Layer:
    """A layer on the CPU whose weights have no value before :func:`draw_weights`.

    On the meta device its constructor draws nothing; elsewhere it would draw from the global stream.
    """
    return kind(*sizes, device="meta", **settings).to_empty(device="cpu")


def draw_weights(module: nn.Module, *, generator: torch.Generator) -> None:
    """Draw the weights of every convolution and linear layer in ``module``, uniform within one over the root of the fan-in.

    Biases of linear layers begin at zero. LSTMs are drawn within one over the root of their hidden size, biases too.
    """
    # Paper: none states its initialisation. These are the widths of PyTorch's defaults. MAML's authors' code has others: the head's
    # weights are normal with deviation 1 on Omniglot.
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(part.weight[0].numel())
            nn.init.uniform_(part.weight, -bound, bound, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LSTM | nn.LSTMCell):
            bound = 1 / math.sqrt(part.hidden_size)
            for weights in part.parameters():
                nn.init.uniform_(weights, -bound, bound, generator=generator)
