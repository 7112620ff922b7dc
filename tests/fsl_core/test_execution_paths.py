"""Whichever way a step is computed, its logits, loss, gradient and trajectory are those of the plain loop in float64."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from fsl_core.algorithms.algorithm import AdaptingAlgorithm
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights, part, repeated
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.recipe import OptimiserSettings
from fsl_core.training.step import StepSettings, meta_gradient, train_step
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.forms import ALGORITHMS, FORMS, backbones, kernels_of
from tests.fsl_core.pairs import NORMS, Pair, episodes_of, recipe_of

EXACT = 1e-11
"""Of each tensor's largest entry, in float64: some thousand roundings of 1e-16, and what a division by a small deviation makes of them."""
FLOAT32 = 1e-3
"""The same in float32, whose roundings are 5e8 times as large; a maximum or a kink that falls the other way is within it here."""
LR, STEPS, EPSILON = 1e-3, 20, 1e-8
TRAJECTORY = LR * STEPS * 1e-14 / EPSILON
"""Of 20 steps: where an entry's gradient is of the size of its rounding, 1e-14, Adam divides by its epsilon alone, and so moves the weight
by at most 1e-6 of the learning rate the other way, in each step. That is 2e-8, a millionth of the way that the weights go."""


def pair_of(algorithm: str, backbone: str, **changes: Any) -> Pair:
    chosen = ALGORITHMS[algorithm]
    return Pair.of(recipe_of(chosen, backbones(chosen)[backbone], **changes))


def laid_out(learner: Learner, kernels: Kernels, dtype: torch.dtype = torch.float64) -> Learner:
    """The same weights in the memory layout that goes with the kernels."""
    return Learner(learner.algorithm, {name: kernels.lay_out(value.to(dtype)) for name, value in learner.weights.items()})


def training_logits(learner: Learner, episodes: EpisodeBatch, kernels: Kernels) -> torch.Tensor:
    """Query scores where BatchNorm normalises as in training."""
    if isinstance(learner.algorithm, AdaptingAlgorithm):
        return learner.adapted_logits(episodes, kernels=kernels)
    weights = {name: repeated(value, len(episodes)) for name, value in part(learner.weights, "backbone.").items()}
    images = torch.cat([episodes.support.flatten(1, 2), episodes.query.flatten(1, 2)], dim=1)
    embedded, _ = learner.algorithm.backbone.apply(weights, Images(images), kernels=kernels)
    shape = episodes.shape
    support, query = embedded.split([shape.way * shape.shot, shape.queries], dim=1)
    ways = (shape.way, -1)
    return learner.embedded_logits(EpisodeBatch(support=support.unflatten(1, ways), query=query.unflatten(1, ways)))


def assert_near(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float, name: str = "") -> None:
    """They agree to ``tolerance`` of the largest entry of ``theirs``."""
    assert ours.shape == theirs.shape
    distance = float((ours.double() - theirs).abs().max())
    assert distance <= tolerance * float(theirs.abs().max()) + 1e-3 * tolerance, (name, distance)


@pytest.mark.parametrize(("algorithm", "backbone"), FORMS)
def test_logits_loss_and_gradient_are_those_of_the_plain_loop(algorithm: str, backbone: str) -> None:
    pair, episodes = pair_of(algorithm, backbone), episodes_of(3)
    logits, loss = pair.plain_logits(episodes).detach(), pair.plain_loss(episodes).detach()
    gradient = pair.plain_gradient(episodes)
    single = EpisodeBatch(support=episodes.support.float(), query=episodes.query.float())
    for kernels in kernels_of(pair.recipe.backbone):
        for dtype, tolerance, images in ((torch.float64, EXACT, episodes), (torch.float32, FLOAT32, single)):
            learner = laid_out(pair.learner, kernels, dtype)
            assert_near(training_logits(learner, images, kernels), logits, tolerance)
            for episodes_at_once in (1, 2, 3) if dtype == torch.float64 else (3,):
                settings = StepSettings.of(pair.recipe, episodes_at_once=episodes_at_once, kernels=kernels)
                taught = meta_gradient(learner.training(pair.recipe.optimiser), [images], settings)
                assert_near(taught.loss[0], loss, tolerance)
                assert taught.gradient.keys() == gradient.keys()
                for name, theirs in gradient.items():
                    assert_near(taught.gradient[name][0], theirs, tolerance, f"{name} {kernels} {dtype} {episodes_at_once}")


def test_the_tolerance_rejects_a_gradient_of_part_of_the_adaptation() -> None:
    """The first order's differs from the second's by more, in either type."""
    pair, episodes = pair_of("maml order 2", "max_pool"), episodes_of(3)
    other = pair_of("maml order 1", "max_pool").plain_gradient(episodes)
    taught = pair.learner.taught(episodes)
    with pytest.raises(AssertionError):
        for name, theirs in other.items():
            assert_near(taught.gradient[name][0], theirs, FLOAT32)


class EpisodesOfSteps:
    """A sampler of uniform noise in float64: other episodes for every step."""

    def batch(self, step: int, count: int) -> EpisodeBatch:
        return episodes_of(count, seed=100 + step)


def plain_trajectory(pair: Pair, steps: int) -> None:
    """Step the plain loop by torch's own Adam, with the learning rate halved every 7 steps."""
    optimiser = torch.optim.Adam(pair.plain.parameters(), lr=LR, eps=EPSILON)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = LR * 0.5 ** (step // 7)
        gradient = pair.plain_gradient(EpisodesOfSteps().batch(step, pair.recipe.meta_batch_size))
        for name, parameter in pair.plain.named_parameters():
            parameter.grad = gradient[name]
        optimiser.step()


WAYS = [
    (Kernels(), 2),
    (Kernels(layout="channels_first", convolution="unfolded"), 1),
    (Kernels(layout="channels_first", normalisation="plain"), 2),
]
"""Kernels, and how many episodes at once."""


@pytest.mark.parametrize(("algorithm", "backbone"), [
    ("prototypical", "max_pool"),
    ("matching learned scale", "stride"),
    ("matching full context", "max_pool"),
    ("maml order 1", "max_pool"),
    ("maml order 2", "max_pool"),
    ("maml order 2, summed, fixed norms", "stride, padded at the end, shift alone"),
    ("prototypical", "mlp"),
    ("maml order 2", "mlp"),
])  # fmt: skip
def test_twenty_steps_are_those_of_the_plain_loop(algorithm: str, backbone: str) -> None:
    """Weights and running statistics; the plain loop moves these once an episode, so that it is given one where there are any."""
    count = 2 if algorithm.startswith("maml") else 1
    optimiser = OptimiserSettings(outer_lr=LR, halve_every=7)
    pair = pair_of(algorithm, backbone, meta_batch_size=count, optimiser=optimiser)
    first = {name: value.clone() for name, value in pair.learner.weights.items()}
    plain_trajectory(pair, STEPS)
    theirs: Weights = dict(pair.plain.named_parameters()) | dict(pair.plain.named_buffers())
    for kernels, episodes_at_once in WAYS:
        state = laid_out(pair.learner, kernels).training(optimiser)
        for _ in range(STEPS):
            train_step(
                state, [EpisodesOfSteps()], StepSettings.of(pair.recipe, episodes_at_once=episodes_at_once, kernels=kernels)
            )  # type: ignore[list-item]
        assert state.step == state.clock == STEPS
        named = state.named()
        assert len(state.statistics) == (0 if algorithm.startswith("maml") else 8)
        for name, values in named.items():
            assert float((values - theirs[name].detach()).abs().max()) <= TRAJECTORY * max(
                1.0, float(theirs[name].detach().abs().max())
            ), name
    moved = [float((theirs[name].detach() - values[0]).abs().max()) for name, values in first.items()]
    assert max(moved) > LR * STEPS / 4


def test_several_episodes_update_the_running_statistics_once_by_their_mean() -> None:
    """As a layer of torch's that keeps all of its last batch sees them, one episode after another."""
    pair, episodes = pair_of("prototypical", "max_pool", meta_batch_size=3), EpisodesOfSteps().batch(0, 3)
    for layer in pair.plain.modules():
        if isinstance(layer, NORMS):
            layer.momentum = 1.0
    seen: list[Weights] = []
    for episode in episodes.parts(1):
        pair.plain_logits(episode)
        seen.append({name: value.clone() for name, value in pair.plain.named_buffers()})
    for episodes_at_once in (1, 2, 3):
        state = pair.learner.training(pair.recipe.optimiser)
        before = {name: value.clone() for name, value in state.statistics.items()}
        train_step(state, [EpisodesOfSteps()], StepSettings.of(pair.recipe, episodes_at_once=episodes_at_once, kernels=Kernels()))  # type: ignore[list-item]
        for name, values in state.statistics.items():
            expected = 0.9 * before[name][0] + 0.1 * torch.stack([own[name] for own in seen]).mean(dim=0)
            torch.testing.assert_close(values[0], expected, rtol=1e-11, atol=1e-13)


SEEDS = 3


@dataclasses.dataclass(frozen=True)
class OfSeed:
    """The sampler of one seed."""

    seed: int

    def batch(self, step: int, count: int) -> EpisodeBatch:
        return episodes_of(count, seed=1000 * self.seed + step)


def learners_of(algorithm: str, backbone: str) -> list[Learner]:
    return [pair_of(algorithm, backbone, seed=seed).learner for seed in range(SEEDS)]


def together(learners: Sequence[Learner]) -> Learner:
    """Their weights along the leading axis."""
    stacked = {name: torch.cat([own.weights[name] for own in learners]) for name in learners[0].weights}
    return Learner(learners[0].algorithm, stacked)


@pytest.mark.parametrize("backbone", ["max_pool", "mlp"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_seeds_trained_together_equal_each_trained_alone(algorithm: str, backbone: str) -> None:
    """Gradient, loss, accuracy, statistics, and steps with a clipped norm, which is each seed's own."""
    learners, samplers = learners_of(algorithm, backbone), [OfSeed(seed) for seed in range(SEEDS)]
    recipe = pair_of(algorithm, backbone, meta_batch_size=2, optimiser=OptimiserSettings(clip_norm=0.5)).recipe
    for kernels in (Kernels(), Kernels(layout="channels_first", normalisation="plain", convolution="unfolded")):
        settings = StepSettings.of(recipe, episodes_at_once=2, kernels=kernels)
        group = laid_out(together(learners), kernels)
        state = group.training(recipe.optimiser)
        taught = meta_gradient(state, [sampler.batch(0, 2) for sampler in samplers], settings)  # one update of all the seeds
        states = [laid_out(learner, kernels).training(recipe.optimiser) for learner in learners]
        for seed, own in enumerate(states):
            alone = meta_gradient(own, [samplers[seed].batch(0, 2)], settings)
            assert_near(taught.loss[seed], alone.loss[0], EXACT)
            assert taught.accuracy[seed] == alone.accuracy[0]
            for name, values in alone.gradient.items():
                assert_near(taught.gradient[name][seed], values[0], EXACT, name)
            assert taught.statistics.keys() == alone.statistics.keys()
            for name, statistics in alone.statistics.items():
                assert_near(taught.statistics[name].mean[seed], statistics.mean[0], EXACT)
                assert_near(taught.statistics[name].variance[seed], statistics.variance[0], EXACT)
                assert taught.statistics[name].count == statistics.count
        for _ in range(3):
            train_step(state, samplers, settings)  # type: ignore[arg-type]
            for seed, own in enumerate(states):
                train_step(own, [samplers[seed]], settings)  # type: ignore[list-item]
        for seed, own in enumerate(states):
            assert_near(state.interval_loss[seed], own.interval_loss[0], EXACT)
            assert state.interval_accuracy[seed] == own.interval_accuracy[0]
            for name, values in own.named().items():
                assert float((state.named(seed)[name] - values).abs().max()) <= TRAJECTORY, name
