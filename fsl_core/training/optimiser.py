"""The optimiser's step: the learning rate schedule, clipping, and Adam or gradient descent on given gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fsl_core.recipe.recipe import OptimiserSettings
from fsl_core.training.adam import Adam
from fsl_core.training.state import TrainingState


def outer_lr_at(settings: OptimiserSettings, step: int) -> float:
    """The learning rate of the next step after ``step`` steps."""
    if settings.decay_steps is not None:
        return settings.outer_lr * max(0.0, 1 - step / settings.decay_steps)
    if settings.halve_every is None:
        return settings.outer_lr
    first = settings.halve_every if settings.first_halving is None else settings.first_halving
    return settings.outer_lr * 0.5 ** (0 if step < first else 1 + (step - first) // settings.halve_every)


def outer_lr_on_device(settings: OptimiserSettings, clock: torch.Tensor) -> torch.Tensor:
    """The same for a step that is an int64 tensor, in float64 on its device."""
    rate = torch.full_like(clock, settings.outer_lr, dtype=torch.float64)
    if settings.decay_steps is not None:
        return rate * (1 - clock.double() / settings.decay_steps).clamp(min=0)
    if settings.halve_every is None:
        return rate
    first = settings.halve_every if settings.first_halving is None else settings.first_halving
    halvings = torch.div(clock - first, settings.halve_every, rounding_mode="floor").add(1).clamp(min=0)
    return rate * torch.exp2(-halvings.double())


def descend(state: TrainingState, gradient: Mapping[str, torch.Tensor], settings: OptimiserSettings) -> None:
    """Clip the gradient ``[S, ...]`` of each seed, and take the optimiser's step."""
    clipped = _clipped(gradient, settings)
    if state.optimiser is None:
        rate = outer_lr_on_device(settings, state.clock)
        for name, values in clipped.items():
            state.weights[name].sub_(values * rate)
    else:
        _take_adams_step(state, state.optimiser, clipped, settings)


def _take_adams_step(state: TrainingState, adam: Adam, gradient: Mapping[str, torch.Tensor], settings: OptimiserSettings) -> None:
    if isinstance(adam.rate, torch.Tensor):
        adam.rate.copy_(outer_lr_on_device(settings, state.clock))
    else:
        adam.rate = outer_lr_at(settings, state.step)
    adam.descend(state.weights, {name: _laid_out_as(state.weights[name], values) for name, values in gradient.items()})


def _clipped(gradient: Mapping[str, torch.Tensor], settings: OptimiserSettings) -> Mapping[str, torch.Tensor]:
    # Paper: no paper clips. The 2018 reproduction of Matching Networks clips the norm, MAML's authors' code each entry.
    if settings.clip_norm is not None:
        gradient = _within_norm(gradient, settings.clip_norm)
    if settings.clip_value is not None:
        limit = settings.clip_value
        gradient = {name: values.clamp(-limit, limit) for name, values in gradient.items()}
    return gradient


def _within_norm(gradient: Mapping[str, torch.Tensor], limit: float) -> Mapping[str, torch.Tensor]:
    """Each seed's gradient, scaled down if its norm exceeds ``limit``, as :func:`torch.nn.utils.clip_grad_norm_` does."""
    norms = [torch.linalg.vector_norm(values.reshape(len(values), -1), dim=1) for values in gradient.values()]
    total = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    factor = (limit / (total + 1e-6)).clamp(max=1.0)
    return {name: values * factor.view(-1, *[1] * (values.dim() - 1)) for name, values in gradient.items()}


def _laid_out_as(weights: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient with the strides of its weights, as Adam's fused kernel assumes."""
    return gradient if gradient.stride() == weights.stride() else torch.empty_like(weights).copy_(gradient)
