"""Gradient descent without moments: what one step does to the weights of each seed, and what its state holds."""

import pytest
import torch

from fsl_core.algorithms.maml import Maml
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.recipe import GradientDescentSettings, OptimiserSettings
from fsl_core.training.optimiser import descend
from fsl_core.training.state import TrainingState
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner

HALF_GONE = GradientDescentSettings(outer_lr=0.8, halve_every=None, decay_steps=10)


def begun(settings: OptimiserSettings, *, step: int = 0) -> TrainingState:
    """A training of two seeds after some steps."""
    learner = Learner.of(Maml(AsTheyAre(3), MamlSettings(), way=2))
    both = {name: torch.cat([values, values + 1]) for name, values in learner.weights.items()}
    state = Learner(learner.algorithm, both).training(settings)
    state.step = step
    state.clock.fill_(step)
    return state


@pytest.mark.parametrize(("step", "rate"), [(0, 0.8), (5, 0.4), (10, 0.0), (12, 0.0)])
def test_the_weights_move_by_the_rate_of_the_step(step: int, rate: float) -> None:
    state = begun(HALF_GONE, step=step)
    before = {name: values.clone() for name, values in state.weights.items()}
    gradient = {name: torch.randn_like(values) for name, values in before.items()}
    descend(state, gradient, HALF_GONE)
    for name, values in state.weights.items():
        torch.testing.assert_close(values, before[name] - rate * gradient[name], rtol=1e-12, atol=1e-12)


def test_the_gradient_is_clipped_as_adams_is() -> None:
    settings = GradientDescentSettings(outer_lr=1.0, halve_every=None, clip_value=0.5)
    state = begun(settings)
    before = {name: values.clone() for name, values in state.weights.items()}
    descend(state, {name: torch.full_like(values, -3.0) for name, values in before.items()}, settings)
    assert all(torch.equal(values, before[name] + 0.5) for name, values in state.weights.items())


def test_its_state_has_no_moments() -> None:
    state = begun(HALF_GONE)
    assert state.optimiser is None
    assert not any(state.moments().values())
