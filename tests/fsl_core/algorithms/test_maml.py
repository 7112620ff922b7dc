"""MAML against closed forms, finite differences and references written here in float64."""

import copy
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, class_labels, query_labels
from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.mlp import Mlp
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import OptimiserSettings
from fsl_core.training.training import StepSettings, start_training, train_step
from tests.fsl_core.algorithms.episodes import assert_gradients_agree, embedded_episodes, image_episodes, loss_of

SHAPES = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3))
SEEDS = st.integers(0, 2**31)
REDUCTIONS = st.sampled_from(["mean", "sum_over_shot"])


class Smooth(nn.Sequential):
    """A tiny network without kinks, so that finite differences can be trusted."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__(nn.Linear(features, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh())
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7, generator=generator)


def smooth(way: int, *, seed: int = 0, features: int = 5, **changes: object) -> Maml:
    generator = torch.Generator().manual_seed(seed)
    chosen = MamlSettings(**{"inner_lr": 0.3, **changes})  # type: ignore[arg-type]
    return Maml(Smooth(features, generator), chosen, features=3, way=way, stream=Stream(seed, "weights")).double()


def convolutional(way: int, *, backbone: Conv4Settings | MlpSettings | None = None, **changes: object) -> Maml:
    stream = Stream(0, "weights")
    network: nn.Module
    if isinstance(backbone, MlpSettings):
        network = Mlp((1, 28, 28), backbone, stream=stream)
    else:
        network = Conv4((1, 28, 28), backbone or Conv4Settings(filters=4, batch_norm="batch"), stream=stream)
    return Maml(network, MamlSettings(**changes), features=network.features, way=way, stream=stream)  # type: ignore[arg-type]


def reference_logits(algorithm: Maml, episodes: EpisodeBatch, order: int) -> torch.Tensor:
    """Algorithm 2 on :class:`Smooth`, with its matrices written out."""
    chosen = algorithm.settings
    way, shot = episodes.support.shape[1:3]
    every = []
    for support, query in zip(episodes.support.flatten(1, 2), episodes.query.flatten(1, 2), strict=True):
        weights = list(algorithm.parameters())
        for _ in range(chosen.adaptation_steps):
            log_probabilities = torch.log_softmax(reference_network(weights, support), dim=1)
            loss = -sum(log_probabilities[row, label] for row, label in enumerate(class_labels(way, shot)))
            loss = loss / shot if chosen.inner_reduction == "sum_over_shot" else loss / (way * shot)
            gradients = torch.autograd.grad(loss, weights, create_graph=True)
            if order == 1:
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
    algorithm = smooth(shape[0], seed=seed, order=order, adaptation_steps=steps, inner_reduction=reduction)
    ours, theirs = algorithm.training_logits(episodes), reference_logits(algorithm, episodes, order)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert_gradients_agree(loss_of(ours, episodes), loss_of(theirs, episodes), list(algorithm.parameters()))


class Scale(nn.Module):
    """Scores a number ``x`` of two classes as ``[w x, 0]``: with labels fixed, a loss of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.w * x, torch.zeros_like(x)], dim=1)


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("order", [1, 2])
def test_the_quadratic_has_its_closed_form(monkeypatch: pytest.MonkeyPatch, order: int, steps: int) -> None:
    """With the loss (w - a)^2 / 2, n steps of rate r contract: w_n - a = (1 - r)^n (w - a).

    The query's loss (w_n - b)^2 / 2 then has the gradient (1 - r)^n (w_n - b) at order 2 and w_n - b at order 1.
    """
    rate, support_target, query_target = 0.4, 2.0, -1.0
    algorithm = Maml(
        nn.Identity(),
        MamlSettings(order=order, adaptation_steps=steps, inner_lr=rate),  # type: ignore[arg-type]
        features=1,
        way=2,
        stream=Stream(0, "weights"),
    )
    algorithm.network = Scale()  # type: ignore[assignment]
    start = algorithm.network.w
    monkeypatch.setattr(nn.functional, "cross_entropy", lambda logits, labels: (logits[0, 0] - support_target).square() / 2)
    one = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    adapted = algorithm.training_logits(EpisodeBatch(support=one, query=one))[0, 0, 0]
    expected = support_target + (1 - rate) ** steps * (0.7 - support_target)
    assert adapted.item() == pytest.approx(expected, rel=1e-12)
    (gradient,) = torch.autograd.grad((adapted - query_target).square() / 2, start)
    contraction = (1 - rate) ** steps if order == 2 else 1.0
    assert gradient.item() == pytest.approx(contraction * (expected - query_target), rel=1e-12)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_second_order_gradient_is_the_finite_difference_of_the_whole(steps: int) -> None:
    """And the first order's is not: they differ by the Hessian's term."""
    episodes = embedded_episodes(3, 2, 2, 0, features=5)
    gradients = {}
    for order in (1, 2):
        algorithm = smooth(3, order=order, adaptation_steps=steps)
        loss = loss_of(algorithm.training_logits(episodes), episodes)
        gradients[order] = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(algorithm.parameters()))])
    numeric = torch.tensor(list(finite_differences(smooth(3, order=1, adaptation_steps=steps), episodes)), dtype=torch.float64)
    scale = numeric.abs().max()
    assert (gradients[2] - numeric).abs().max() < 1e-7 * scale
    assert (gradients[1] - numeric).abs().max() > 1e-2 * scale


def finite_differences(algorithm: Maml, episodes: EpisodeBatch, width: float = 1e-5) -> Iterator[float]:
    for parameter in algorithm.parameters():
        flat = parameter.data.view(-1)
        for index in range(len(flat)):
            values = []
            for step in (width, -2 * width):
                flat[index] += step
                values.append(loss_of(algorithm.training_logits(episodes), episodes).item())
            flat[index] += width
            yield (values[0] - values[1]) / (2 * width)


def test_first_order_is_the_gradient_at_the_fast_weights() -> None:
    """Adapt a copy by plain SGD and take the query's gradient there: the same, with no graph of the adaptation at all."""
    episodes = embedded_episodes(3, 2, 2, 1, episodes=1, features=5)
    algorithm = smooth(3, order=1, adaptation_steps=2)
    loss = loss_of(algorithm.training_logits(episodes), episodes)
    ours = torch.autograd.grad(loss, list(algorithm.parameters()))
    fast = copy.deepcopy(algorithm.network)
    optimiser = torch.optim.SGD(fast.parameters(), lr=0.3)
    for _ in range(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(fast(episodes.support[0].flatten(0, 1)), class_labels(3, 2)).backward()
        optimiser.step()
    theirs = torch.autograd.grad(loss_of(fast(episodes.query[0].flatten(0, 1))[None], episodes), list(fast.parameters()))
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)


def double_backward_nodes(tensor: torch.Tensor) -> int:
    """How many nodes of the graph behind a tensor differentiate a backward pass."""
    seen, waiting, names = set(), [tensor.grad_fn], Counter[str]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        names[type(node).__name__] += 1
        waiting += [after for after, _ in node.next_functions]
    return sum(count for name, count in names.items() if "BackwardBackward" in name or "BackwardDataBackward" in name)


def test_the_graph_holds_the_adaptation_at_order_two_alone() -> None:
    """Its double-backward nodes are none at order 1 and grow with the adaptation steps at order 2."""
    episodes = image_episodes(3, 1, 1, episodes=1)
    counts = {
        (order, steps): double_backward_nodes(convolutional(3, order=order, adaptation_steps=steps).training_logits(episodes))
        for order in (1, 2)
        for steps in (0, 1, 2, 3)
    }
    assert [counts[1, steps] for steps in (0, 1, 2, 3)] == [0, 0, 0, 0]
    assert counts[2, 0] == 0 < counts[2, 1] < counts[2, 2] < counts[2, 3]
    assert counts[2, 3] - counts[2, 2] == counts[2, 2] - counts[2, 1]


@pytest.mark.parametrize("order", [1, 2])
def test_no_steps_are_plain_training(order: int) -> None:
    episodes = embedded_episodes(3, 2, 4, 0, features=5)
    algorithm = smooth(3, order=order, adaptation_steps=0)
    plain = loss_of(algorithm.network(episodes.query.flatten(0, 2)).unflatten(0, (2, -1)), episodes)
    ours = loss_of(algorithm.training_logits(episodes), episodes)
    assert_gradients_agree(ours, plain, list(algorithm.parameters()))


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
    gradients = []
    for episodes_at_once in (1, 2, 5):
        algorithm = smooth(3, order=order, adaptation_steps=2)
        chosen = StepSettings(
            optimiser=OptimiserSettings(), meta_batch_size=5, episodes_at_once=episodes_at_once, loss_factor=factor
        )
        train_step(start_training(algorithm, chosen.optimiser), _Fixed(episodes), chosen)  # type: ignore[arg-type]
        gradients.append([parameter.grad for parameter in algorithm.parameters()])
    whole = smooth(3, order=order, adaptation_steps=2)
    expected = torch.autograd.grad(factor * loss_of(whole.training_logits(episodes), episodes), list(whole.parameters()))
    for parts in gradients:
        for mine, reference in zip(parts, expected, strict=True):
            torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clipping", ["clip_norm", "clip_value"])
def test_the_meta_gradient_is_clipped(clipping: str) -> None:
    episodes = embedded_episodes(3, 2, 2, 0, features=5)
    algorithm = smooth(3)
    chosen = StepSettings(optimiser=OptimiserSettings(**{clipping: 0.01}), meta_batch_size=2, loss_factor=1000.0)  # type: ignore[arg-type]
    train_step(start_training(algorithm, chosen.optimiser), _Fixed(episodes), chosen)  # type: ignore[arg-type]
    entries = torch.cat([parameter.grad.flatten() for parameter in algorithm.parameters() if parameter.grad is not None])
    size = entries.norm() if clipping == "clip_norm" else entries.abs().max()
    assert size.item() == pytest.approx(0.01, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.sampled_from([1, 2]), SEEDS)
def test_permuting_classes_and_head_permutes_the_scores(shape: tuple[int, int, int], order: int, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed, features=5)
    turn = torch.randperm(shape[0], generator=torch.Generator().manual_seed(seed))
    algorithm = smooth(shape[0], order=order, adaptation_steps=2)
    turned = copy.deepcopy(algorithm)
    head = turned.network[1]
    assert isinstance(head, nn.Linear)
    head.weight.data, head.bias.data = head.weight.data[turn], head.bias.data[turn]
    permuted = turned.training_logits(EpisodeBatch(support=episodes.support[:, turn], query=episodes.query))
    torch.testing.assert_close(permuted, algorithm.training_logits(episodes)[..., turn])


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_the_support_does_not_matter(order: int) -> None:
    episodes = embedded_episodes(3, 3, 2, 0, features=5)
    algorithm = smooth(3, order=order, adaptation_steps=2)
    turned = EpisodeBatch(support=episodes.support.flip(2), query=episodes.query)
    torch.testing.assert_close(algorithm.training_logits(turned), algorithm.training_logits(episodes))


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
def test_every_parameter_gets_a_gradient(backbone: Conv4Settings | MlpSettings, order: int, adapt_batch_norm: bool) -> None:
    algorithm = convolutional(3, backbone=backbone, order=order, adaptation_steps=2, adapt_batch_norm=adapt_batch_norm)
    assert isinstance(algorithm, AdaptingAlgorithm)
    episodes = image_episodes(3, 2, 2)
    loss_of(algorithm.training_logits(episodes), episodes).backward()  # type: ignore[no-untyped-call]
    for name, parameter in algorithm.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_batch_norm_is_adapted_or_not_as_the_settings_say() -> None:
    episodes = image_episodes(3, 1, 1, episodes=1)
    for adapts in (True, False):
        algorithm = convolutional(3, adapt_batch_norm=adapts)
        fast = algorithm.adapt(algorithm.adaptable_weights(), episodes.support[0], create_graph=False)
        norms = {name for name in fast if "norm" in name}
        assert len(norms) == (8 if adapts else 0)
        for name, weight in fast.items():
            assert not torch.equal(weight, algorithm.network.get_parameter(name)), name


def test_the_sum_over_the_shot_is_way_times_the_mean() -> None:
    """An inner rate of 0.1 with the sum acts like one of 0.1 * way with the mean."""
    episodes = embedded_episodes(4, 3, 2, 0, features=5)
    summed = smooth(4, inner_lr=0.1, inner_reduction="sum_over_shot").training_logits(episodes)
    torch.testing.assert_close(summed, smooth(4, inner_lr=0.4).training_logits(episodes))


def test_scores_after_each_number_of_steps_are_those_of_training_with_as_many() -> None:
    episodes = image_episodes(3, 2, 2, dtype=torch.float64)
    algorithm = convolutional(3, adaptation_steps=2, inner_lr=0.1).double().eval()
    with torch.no_grad():
        scores = algorithm.logits_after(episodes, (0, 1, 3))
    assert scores.shape == (3, 2, 6, 3)
    for steps, mine in zip((0, 1, 3), scores, strict=True):
        trained = convolutional(3, adaptation_steps=steps, inner_lr=0.1).double()
        torch.testing.assert_close(mine, trained.training_logits(episodes).detach())


def test_scoring_leaves_the_weights_and_their_gradients_as_they_were() -> None:
    algorithm = convolutional(3)
    before = {name: parameter.detach().clone() for name, parameter in algorithm.named_parameters()}
    algorithm.logits_after(image_episodes(3, 1, 1), range(4))
    for name, parameter in algorithm.named_parameters():
        assert torch.equal(parameter, before[name]) and parameter.grad is None


def test_episodes_of_one_batch_do_not_see_each_other() -> None:
    batch = image_episodes(3, 1, 2, episodes=3)
    together = convolutional(3).training_logits(batch)
    torch.testing.assert_close(together, torch.cat([convolutional(3).training_logits(part) for part in batch.parts(1)]))


def test_a_query_is_labelled_like_its_logits() -> None:
    shape = EpisodeShape(way=3, shot=1, query=2)
    assert query_labels(shape).tolist() == [0, 0, 1, 1, 2, 2]
