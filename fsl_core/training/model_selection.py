"""Which weights of a training are kept, by what meta-validation showed of them. Nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Selection = Literal["loss", "accuracy", "last"]
"""What chooses the weights: the lowest loss, the highest accuracy, or the end of the training."""


@dataclass(frozen=True, kw_only=True)
class ValidationScore:
    """What meta-validation showed of some weights, over the queries of all its frozen episodes.

    ``loss`` is the mean cross-entropy in nats, ``accuracy`` the share of right answers in 0..1.
    """

    loss: float
    accuracy: float


def selects(selection: Selection, score: ValidationScore, best: ValidationScore | None, *, last: bool) -> bool:
    """Whether weights with this score are kept in place of the best so far, of which there may be none.

    A tie keeps the earlier ones, and weights whose loss is not finite are never kept. ``last`` says that the training takes no step
    after this score.
    """
    # Paper: Prototypical Networks select by the loss (section 3.2 and the authors' code), MAML's authors' code takes the last weights,
    # the 2018 reproduction selects by the accuracy; Matching Networks' text does not say.
    if not math.isfinite(score.loss):
        return False
    if selection == "last":
        return last
    if best is None:
        return True
    return score.loss < best.loss if selection == "loss" else score.accuracy > best.accuracy
