"""Adam's moments, and its step on weights ``[S, ...]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch.optim.adam import adam

from fsl_core.backbones.weights import Weights

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class Adam:
    """Adam (Kingma & Ba 2015) with torch's fused kernel.

    The functional form of torch takes the step: the class ``torch.optim.Adam`` imports torch's compiler, which takes a second and is not
    needed. ``rate`` is a tensor on the device if steps are captured, so that each replay reads it. ``moments`` are by their
    name and that of the weight; ``counts``, a float32 scalar for each weight, are the steps taken.
    """

    rate: float | torch.Tensor
    moments: Mapping[str, Weights]
    counts: Weights

    @classmethod
    def of(cls, weights: Weights, rate: float, *, captured: bool = False) -> Adam:
        """The state before the first step on these weights."""
        device = next(iter(weights.values())).device
        return cls(
            rate=torch.tensor(rate, device=device) if captured else rate,
            moments={moment: {name: torch.zeros_like(values) for name, values in weights.items()} for moment in MOMENTS},
            counts={name: torch.zeros((), dtype=torch.float32, device=device) for name in weights},
        )

    def begin_at(self, step: int) -> None:
        """Count the next step as the one after ``step`` steps."""
        for count in self.counts.values():
            count.fill_(step)

    @torch.no_grad()
    def descend(self, weights: Weights, gradient: Mapping[str, torch.Tensor]) -> None:
        """Take a step on the weights that have a gradient, which has their layout."""
        first, second = (self.moments[moment] for moment in MOMENTS)
        adam(
            [weights[name] for name in gradient],
            list(gradient.values()),
            [first[name] for name in gradient],
            [second[name] for name in gradient],
            [],
            [self.counts[name] for name in gradient],
            fused=True,
            capturable=isinstance(self.rate, torch.Tensor),
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def tensors(self) -> Iterator[torch.Tensor]:
        """Every tensor that a step writes to and later steps read."""
        for values in (*self.moments.values(), self.counts):
            yield from values.values()
