"""Chooses how the steps of a training run: directly or captured as a CUDA graph, and with a compiled gradient or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fsl_core.algorithms.algorithm import Algorithm
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.training.capture import captured_step
from fsl_core.training.state import TrainingState
from fsl_core.training.step import GradientFunction, StepSettings, train_step


def step_runner(
    state: TrainingState,
    samplers: Sequence[EpisodeSampler],
    settings: StepSettings,
    *,
    captured: bool,
    compiled: bool = False,
) -> Callable[[], None]:
    """Return a function that takes one step of ``state`` at each call."""
    if compiled:
        settings = replace(settings, gradient=compiled_gradient(state.algorithm))
    if captured:
        return captured_step(state, samplers, settings)
    return lambda: train_step(state, samplers, settings)


def compiled_gradient(algorithm: Algorithm) -> GradientFunction:
    """The algorithm's meta-gradient, compiled at its first call."""
    from fsl_core.training.compilation import CompiledGradient  # only here: its import takes a second

    return CompiledGradient(algorithm)
