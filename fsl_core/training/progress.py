"""How far a training is, as its observers learn it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsl_core.training.state import TrainingState


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What an observer learns at every point of the curves.

    ``step`` of at most ``steps``; ``metrics`` are the values that the curves got at this step (accuracies in 0..1); ``best`` is the
    meta-validation accuracy of the weights selected so far, or of the present ones where none are, None where nothing is watched.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    best: float | None


def progress_of(state: TrainingState, steps: int) -> Progress:
    """Where the training of a single seed is, of at most ``steps`` steps."""
    seed = state.seeds[0]
    metrics = {name: curve[-1][1] for name, curve in seed.curves.items() if curve and curve[-1][0] == state.step}
    best = metrics.get("validation_accuracy") if seed.best is None else seed.best.accuracy
    return Progress(step=state.step, steps=steps, metrics=metrics, best=best)
