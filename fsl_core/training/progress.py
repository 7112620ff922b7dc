"""The progress of a training, as reported to observers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsl_core.training.state import TrainingState


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress at a point of the curves.

    ``step`` of at most ``steps``; ``metrics``: the values of the curves at this step (accuracies in 0..1); ``best``: the meta-validation
    accuracy of the weights selected so far, else of the present ones; None without validation.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    best: float | None


def progress_of(state: TrainingState, steps: int, *, seed: int = 0) -> Progress:
    """The progress of one seed's training, of at most ``steps`` steps."""
    own = state.seeds[seed]
    metrics = {name: curve[-1][1] for name, curve in own.curves.items() if curve and curve[-1][0] == state.step}
    best = metrics.get("validation_accuracy") if own.best is None else own.best.accuracy
    return Progress(step=state.step, steps=steps, metrics=metrics, best=best)
