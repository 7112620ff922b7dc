"""Model selection: which weights of a training are kept, by their meta-validation score. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Selection = Literal["loss", "accuracy", "last"]
"""The criterion of selection: the lowest loss, the highest accuracy, or the end of training."""


@dataclass(frozen=True, kw_only=True)
class ValidationScore:
    """The meta-validation score of some weights, over the queries of all frozen episodes.

    ``loss`` is the mean cross-entropy in nats, ``accuracy`` the share of correct answers in 0..1.
    """

    loss: float
    accuracy: float


def selects(selection: Selection, score: ValidationScore, best: ValidationScore | None, *, last: bool) -> bool:
    """Return whether weights with this score replace the best so far, if any.

    A tie keeps the earlier weights, and weights whose loss is not finite are never kept. ``last``: training takes no step after this
    score.
    """
    # Paper: Prototypical Networks select by the loss (section 3.2 and the authors' code), MAML's authors' code takes the last weights,
    # the 2018 reproduction selects by the accuracy; the Matching Networks paper does not say.
    if not math.isfinite(score.loss):
        return False
    if selection == "last":
        return last
    if best is None:
        return True
    return score.loss < best.loss if selection == "loss" else score.accuracy > best.accuracy
