"""MAML against closed forms, finite differences and references written here in float64."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, class_labels, query_labels
from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import OptimiserSettings
from fsl_core.training.step import StepSettings, meta_gradient, train_step
from tests.fsl_core.algorithms.episodes import embedded_episodes, image_episodes, loss_of
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner, assert_teaches, first_gradient
from tests.fsl_core.watched_tensors import CountedOperations

SHAPES = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3))
SEEDS = st.integers(0, 2**31)
REDUCTIONS = st.sampled_from(["mean", "sum_over_shot"])
HEAD, HEAD_BIAS = "network.1.weight", "network.1.bias"


@dataclass(frozen=True)
class Smooth(AsTheyAre):
    """A tiny network without kinks, so that finite differences can be trusted: ``inputs`` numbers to 4 to ``features``."""

    inputs: int = 5

    def initial_weights(self, stream: Stream) -> Weights:
        shapes = {"first": (4, self.inputs), "first_bias": (4,), "second": (self.features, 4), "second_bias": (self.features,)}
        generator = torch.Generator().manual_seed(stream.key % 2**31)
        return {name: 0.7 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        first, first_bias, second, second_bias = weights.values()
        hidden = torch.tanh(images.pixels @ first.transpose(1, 2) + first_bias[:, None])
        return torch.tanh(hidden @ second.transpose(1, 2) + second_bias[:, None]), {}


def smooth(way: int, *, seed: int = 0, **changes: object) -> Learner:
    chosen = MamlSettings(**{"inner_lr": 0.3, **changes})  # type: ignore[arg-type]
    return Learner.of(Maml(Smooth(3), chosen, way=way), seed=seed)


def convolutional(
    way: int, *, backbone: BackboneSettings | None = None, dtype: torch.dtype = torch.float32, **changes: object
) -> Learner:
    network = (backbone or Conv4Settings(filters=4, batch_norm="batch")).build((1, 28, 28))
    return Learner.of(Maml(network, MamlSettings(**changes), way=way), dtype=dtype)  # type: ignore[arg-type]


def reference_logits(leaves: Weights, chosen: MamlSettings, episodes: EpisodeBatch) -> torch.Tensor:
    """Algorithm 2 on :class:`Smooth`, with its matrices written out."""
    way, shot = episodes.support.shape[1:3]
    every = []
    for support, query in zip(episodes.support.flatten(1, 2), episodes.query.flatten(1, 2), strict=True):
        weights = list(leaves.values())
        for _ in range(chosen.adaptation_steps):
            log_probabilities = torch.log_softmax(reference_network(weights, support), dim=1)
            loss = -sum(log_probabilities[row, label] for row, label in enumerate(class_labels(way, shot)))
            loss = loss / shot if chosen.inner_reduction == "sum_over_shot" else loss / (way * shot)
            gradients = torch.autograd.grad(loss, weights, create_graph=True)
            if chosen.order == 1:
                gradients = tuple(gradient.detach() for gradient in gradients)
            weights = [weight - chosen.inner_lr * gradient for weight, gradient in zip(weights, gradients, strict=True)]
        every.append(reference_network(weights, query))
    return torch.stack(every)


def reference_network(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    first, first_bias, second, second_bias, head, head_bias = weights
    hidden = torch.tanh(torch.tanh(x @ first.T + first_bias) @ second.T + second_bias)
    return hidden @ head.T + head_bias


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.sampled_from([1, 2]), st.integers(0, 3), REDUCTIONS, SEEDS)
def test_logits_loss_and_gradients_agree_with_the_paper(
    shape: tuple[int, int, int], order: int, steps: int, reduction: str, seed: int
) -> None:
    episodes = embedded_episodes(*shape, seed, features=5)
    learner = smooth(shape[0], seed=seed, order=order, adaptation_steps=steps, inner_reduction=reduction)
    leaves = learner.leaves()
    theirs = reference_logits(leaves, learner.algorithm.settings, episodes)
    torch.testing.assert_close(learner.adapted_logits(episodes), theirs.detach(), rtol=1e-10, atol=1e-10)
    assert_teaches(learner.taught(episodes), loss_of(theirs, episodes), leaves)


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_the_quadratic_has_its_closed_form(monkeypatch: pytest.MonkeyPatch, order: int, steps: int) -> None:
    """With the loss (w - a)^2 / 2, n steps of rate r contract: w_n - a = (1 - r)^n (w - a).

    The query's loss (w_n - b)^2 / 2 then has the gradient (1 - r)^n (w_n - b) at order 2 and w_n - b at order 1. Here w is the head's
    first bias, which alone scores images of zeros; the support has an image a class and the query two, which tells a from b.
    """
    rate, targets = 0.4, {2: 2.0, 4: -1.0}
    monkeypatch.setattr(
        "fsl_core.algorithms.maml.cross_entropy",
        lambda logits, labels: (logits[:, 0, 0] - targets[len(labels)]).square() / 2,
    )
    chosen = MamlSettings(order=order, adaptation_steps=steps, inner_lr=rate)  # type: ignore[arg-type]
    start = torch.tensor([0.7, 0.0], dtype=torch.float64)
    learner = Learner.of(Maml(AsTheyAre(1), chosen, way=2)).having(**{HEAD_BIAS: start})
    episodes = EpisodeBatch(*(torch.zeros(1, 2, images, 1, dtype=torch.float64) for images in (1, 2)))
    expected = 2.0 + (1 - rate) ** steps * (0.7 - 2.0)
    assert learner.adapted_logits(episodes)[0, 0, 0].item() == pytest.approx(expected, rel=1e-12)
    contraction = (1 - rate) ** steps if order == 2 else 1.0
    taught = learner.taught(episodes)
    assert taught.gradient[HEAD_BIAS][0, 0].item() == pytest.approx(contraction * (expected + 1.0), rel=1e-12)
    assert taught.loss.item() == pytest.approx((expected + 1.0) ** 2 / 2, rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_second_order_gradient_is_the_finite_difference_of_the_whole(steps: int) -> None:
    """And the first order's is not: they differ by the Hessian's term."""
    episodes = embedded_episodes(3, 2, 2, 0, features=5)
    gradients = {}
    for order in (1, 2):
        taught = smooth(3, order=order, adaptation_steps=steps).taught(episodes)
        gradients[order] = torch.cat([part.flatten() for part in taught.gradient.values()])
    numeric = torch.tensor(list(finite_differences(smooth(3, order=1, adaptation_steps=steps), episodes)), dtype=torch.float64)
    scale = numeric.abs().max()
    assert (gradients[2] - numeric).abs().max() < 1e-7 * scale
    assert (gradients[1] - numeric).abs().max() > 1e-2 * scale


def finite_differences(learner: Learner, episodes: EpisodeBatch, width: float = 1e-5) -> Iterator[float]:
    for values in learner.weights.values():
        flat = values.view(-1)
        for index in range(len(flat)):
            losses = []
            for step in (width, -2 * width):
                flat[index] += step
                losses.append(loss_of(learner.adapted_logits(episodes), episodes).item())
            flat[index] += width
            yield (losses[0] - losses[1]) / (2 * width)


def as_torch_network(learner: Learner) -> nn.Sequential:
    """:class:`Smooth` and MAML's head as torch has them, with the learner's weights."""
    network = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    for parameter, value in zip(network.parameters(), learner.weights.values(), strict=True):
        parameter.data.copy_(value[0])
    return network


def test_first_order_is_the_gradient_at_the_fast_weights() -> None:
    """Adapt a copy by plain SGD and take the query's gradient there: the same, with no graph of the adaptation at all."""
    episodes = embedded_episodes(3, 2, 2, 1, episodes=1, features=5)
    learner = smooth(3, order=1, adaptation_steps=2)
    fast = as_torch_network(learner)
    optimiser = torch.optim.SGD(fast.parameters(), lr=0.3)
    for _ in range(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(fast(episodes.support[0].flatten(0, 1)), class_labels(3, 2)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    theirs = torch.autograd.grad(loss_of(fast(episodes.query[0].flatten(0, 1))[None], episodes), list(fast.parameters()))
    for mine, reference in zip(learner.taught(episodes).gradient.values(), theirs, strict=True):
        torch.testing.assert_close(mine[0], reference, rtol=1e-10, atol=1e-12)


def test_only_order_two_differentiates_the_adaptation() -> None:
    """At order 1 a step of adaptation costs the gradients of the support's convolutions; at order 2 more, each step as much.

    There are three: the first block is on patches of the images, and has none.
    """
    episodes, counts = image_episodes(3, 1, 1, episodes=1), {}
    for order in (1, 2):
        for steps in (0, 1, 2, 3):
            learner = convolutional(3, order=order, adaptation_steps=steps)
            with CountedOperations("convolution_backward") as counted:
                learner.taught(episodes)
            counts[order, steps] = counted.number
    assert [counts[1, steps] for steps in (0, 1, 2, 3)] == [3, 6, 9, 12]
    assert counts[2, 0] == 3
    growth = counts[2, 1] - counts[2, 0]
    assert growth > 3
    assert [counts[2, steps] for steps in (1, 2, 3)] == [3 + growth, 3 + 2 * growth, 3 + 3 * growth]


@pytest.mark.parametrize("order", [1, 2])
def test_zero_adaptation_steps_are_plain_training(order: int) -> None:
    episodes = embedded_episodes(3, 2, 4, 0, features=5)
    learner = smooth(3, order=order, adaptation_steps=0)
    leaves = learner.leaves()
    plain = reference_network(list(leaves.values()), episodes.query.flatten(0, 2)).unflatten(0, (2, -1))
    assert_teaches(learner.taught(episodes), loss_of(plain, episodes), leaves)


class _Fixed:
    """A sampler that always gives the same episodes."""

    def __init__(self, episodes: EpisodeBatch) -> None:
        self.episodes = episodes

    def batch(self, step: int, count: int) -> EpisodeBatch:
        assert count == len(self.episodes)
        return self.episodes


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("factor", [1.0, 5.0])
def test_a_meta_batch_in_parts_has_the_gradient_of_the_whole(order: int, factor: float) -> None:
    episodes = embedded_episodes(3, 2, 2, 0, episodes=5, features=5)
    learner = smooth(3, order=order, adaptation_steps=2)
    leaves = learner.leaves()
    loss = loss_of(reference_logits(leaves, learner.algorithm.settings, episodes), episodes)
    for episodes_at_once in (1, 2, 5):
        chosen = StepSettings(
            optimiser=OptimiserSettings(), meta_batch_size=5, episodes_at_once=episodes_at_once, loss_factor=factor
        )
        taught = meta_gradient(learner.training(chosen.optimiser), [episodes], chosen)
        undone = {name: values / factor for name, values in taught.gradient.items()}
        assert_teaches(dataclasses.replace(taught, gradient=undone), loss, leaves)
        state = learner.training(chosen.optimiser)
        train_step(state, [_Fixed(episodes)], chosen)  # type: ignore[list-item]
        torch.testing.assert_close(first_gradient(state), dict(taught.gradient), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clipping", ["clip_norm", "clip_value"])
def test_the_meta_gradient_is_clipped(clipping: str) -> None:
    episodes = embedded_episodes(3, 2, 2, 0, features=5)
    chosen = StepSettings(optimiser=OptimiserSettings(**{clipping: 0.01}), meta_batch_size=2, loss_factor=1000.0)  # type: ignore[arg-type]
    state = smooth(3).training(chosen.optimiser)
    train_step(state, [_Fixed(episodes)], chosen)  # type: ignore[list-item]
    entries = torch.cat([gradient.flatten() for gradient in first_gradient(state).values()])
    size = entries.norm() if clipping == "clip_norm" else entries.abs().max()
    assert size.item() == pytest.approx(0.01, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.sampled_from([1, 2]), SEEDS)
def test_permuting_classes_and_head_permutes_the_scores(shape: tuple[int, int, int], order: int, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed, features=5)
    turn = torch.randperm(shape[0], generator=torch.Generator().manual_seed(seed))
    learner = smooth(shape[0], order=order, adaptation_steps=2)
    turned = learner.having(**{name: learner.weights[name][0, turn] for name in (HEAD, HEAD_BIAS)})
    permuted = turned.adapted_logits(EpisodeBatch(support=episodes.support[:, turn], query=episodes.query))
    torch.testing.assert_close(permuted, learner.adapted_logits(episodes)[..., turn])


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_the_support_does_not_matter(order: int) -> None:
    episodes = embedded_episodes(3, 3, 2, 0, features=5)
    learner = smooth(3, order=order, adaptation_steps=2)
    turned = EpisodeBatch(support=episodes.support.flip(2), query=episodes.query)
    torch.testing.assert_close(learner.adapted_logits(turned), learner.adapted_logits(episodes))
    for mine, other in zip(*(learner.taught(each).gradient.values() for each in (episodes, turned)), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(
    "backbone",
    [
        Conv4Settings(filters=4, batch_norm="batch"),
        Conv4Settings(filters=4, batch_norm="batch", downsampling="stride"),
        MlpSettings(),
    ],
    ids=["max_pool", "stride", "mlp"],
)
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("adapt_batch_norm", [True, False])
def test_every_parameter_gets_a_gradient(backbone: BackboneSettings, order: int, adapt_batch_norm: bool) -> None:
    learner = convolutional(3, backbone=backbone, order=order, adaptation_steps=2, adapt_batch_norm=adapt_batch_norm)
    assert isinstance(learner.algorithm, AdaptingAlgorithm)
    gradient = learner.taught(image_episodes(3, 2, 2)).gradient
    assert gradient.keys() == learner.weights.keys()
    assert not [name for name, values in gradient.items() if not values.abs().max() > 0]


def test_batch_norm_is_adapted_as_the_settings_say() -> None:
    episodes = image_episodes(3, 1, 1, episodes=1)
    for adapts in (True, False):
        learner = convolutional(3, adapt_batch_norm=adapts)
        fast = learner.algorithm.adapt(learner.weights, Images(episodes.support.flatten(1, 2)), kernels=Kernels())
        changed = {name for name, values in fast.items() if not torch.equal(values, learner.weights[name])}
        norms = {name for name in learner.weights if "norm" in name}
        assert len(norms) == 8
        assert changed == (set(learner.weights) if adapts else set(learner.weights) - norms)


def test_the_sum_over_the_shot_is_way_times_the_mean() -> None:
    """An inner rate of 0.1 with the sum acts like one of 0.1 * way with the mean."""
    episodes = embedded_episodes(4, 3, 2, 0, features=5)
    summed, mean = smooth(4, inner_lr=0.1, inner_reduction="sum_over_shot"), smooth(4, inner_lr=0.4)
    torch.testing.assert_close(summed.adapted_logits(episodes), mean.adapted_logits(episodes))
    for mine, other in zip(*(learner.taught(episodes).gradient.values() for learner in (summed, mean)), strict=True):
        torch.testing.assert_close(mine, other)


def test_scores_after_each_step_equal_those_of_that_many_adaptation_steps() -> None:
    episodes = image_episodes(3, 2, 2, dtype=torch.float64)
    learner = convolutional(3, dtype=torch.float64, adaptation_steps=2, inner_lr=0.1)
    with torch.no_grad():
        scores = learner.algorithm.logits_after(learner.weights, episodes, (0, 1, 3), kernels=Kernels())
    assert scores.shape == (3, 2, 6, 3)
    for steps, mine in zip((0, 1, 3), scores, strict=True):
        trained = convolutional(3, dtype=torch.float64, adaptation_steps=steps, inner_lr=0.1)
        torch.testing.assert_close(loss_of(mine, episodes)[None], trained.taught(episodes).loss)
        torch.testing.assert_close(mine, trained.adapted_logits(episodes))


def test_scoring_and_meta_gradients_leave_the_weights_unchanged() -> None:
    learner: Any = convolutional(3)
    before = copy.deepcopy(learner.weights)
    learner.algorithm.logits_after(learner.weights, image_episodes(3, 1, 1), range(4), kernels=Kernels())
    learner.taught(image_episodes(3, 1, 1))
    for name, values in learner.weights.items():
        assert torch.equal(values, before[name]) and values.grad is None and not values.requires_grad


def test_episodes_of_one_batch_do_not_see_each_other() -> None:
    batch, learner = image_episodes(3, 1, 2, episodes=3), convolutional(3)
    together = learner.adapted_logits(batch)
    torch.testing.assert_close(together, torch.cat([learner.adapted_logits(part) for part in batch.parts(1)]))


def test_a_query_is_labelled_like_its_logits() -> None:
    shape = EpisodeShape(way=3, shot=1, query=2)
    assert query_labels(shape).tolist() == [0, 0, 1, 1, 2, 2]
