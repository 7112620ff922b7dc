"""Chooses how the steps of a training run: directly, or captured as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.training.capture import captured_step
from fsl_core.training.state import TrainingState
from fsl_core.training.step import StepSettings, train_step


def step_runner(
    state: TrainingState, samplers: Sequence[EpisodeSampler], settings: StepSettings, *, captured: bool
) -> Callable[[], None]:
    """Return a function that takes one step of ``state`` at each call."""
    if captured:
        return captured_step(state, samplers, settings)
    return lambda: train_step(state, samplers, settings)
