"""Matching Networks and full context embeddings against references written here in float64."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fsl_core.algorithms.algorithm import MetricAlgorithm, class_labels
from fsl_core.algorithms.matching import MatchingNetworks
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.weights import Weights, of_group, part
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from tests.fsl_core.algorithms.episodes import assert_gradients_agree, embedded_episodes, image_episodes, loss_of
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner

FEATURES = 7
SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4))
DISTANCES = st.sampled_from(["squared_euclidean", "cosine"])
SEEDS = st.integers(0, 2**31)


def network(*, dtype: torch.dtype = torch.float64, features: int = FEATURES, **changes: object) -> Learner:
    """Matching Networks on embeddings as they are."""
    given_settings = MatchingSettings(**changes)  # type: ignore[arg-type]
    return Learner.of(MatchingNetworks(AsTheyAre(features), given_settings), seed=1, dtype=dtype)


def with_context(**changes: object) -> Learner:
    return network(**{"fce": True, "reading_steps": 3, "support_order": "by_class", **changes})


def reference_similarity(x: torch.Tensor, y: torch.Tensor, distance: str) -> torch.Tensor:
    return (x @ y) / (x.norm() * y.norm()) if distance == "cosine" else -((x - y) ** 2).sum()


def reference_probabilities(support: torch.Tensor, queries: torch.Tensor, distance: str, scale: float) -> torch.Tensor:
    """Equations 1 and 2 of the paper, one query at a time: support ``[way, shot, D]``, queries ``[Q, D]``."""
    way, shot = support.shape[:2]
    rows = []
    for x in queries:
        kernel = torch.stack([(scale * reference_similarity(x, y, distance)).exp() for y in support.reshape(way * shot, -1)])
        attention = kernel / kernel.sum()
        rows.append(attention.reshape(way, shot).sum(dim=1))
    return torch.stack(rows)


def reference_lstm(
    x: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor, weights: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of an LSTM: its output and its cell. ``weights`` are of the input, of the hidden state, and the two biases."""
    gates = weights[0] @ x + weights[1] @ hidden + weights[2] + weights[3]
    take, forget, candidate, give = gates.chunk(4)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(take) * torch.tanh(candidate)
    return torch.sigmoid(give) * torch.tanh(cell), cell


def reference_context(
    context: Weights, support: torch.Tensor, queries: torch.Tensor, reading_steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Appendix A.2 and A.1: support ``[S, D]`` in reading order and queries ``[Q, D]``, one item and one step at a time.

    Before the first step the LSTM has put out nothing: ``h^_0 = 0`` and ``c_0 = 0``, with which ``h_0 = h^_0 + f'(x)`` is ``f'(x)``.
    """
    sums = list(support)
    for direction in ("", "_reverse"):
        names = (f"weight_ih_l0{direction}", f"weight_hh_l0{direction}", f"bias_ih_l0{direction}", f"bias_hh_l0{direction}")
        weights = tuple(context[f"support_lstm.{name}"] for name in names)
        hidden = cell = torch.zeros(FEATURES, dtype=torch.float64)
        for index in range(len(support)) if not direction else reversed(range(len(support))):
            hidden, cell = reference_lstm(support[index], hidden, cell, weights)
            sums[index] = sums[index] + hidden
    g = torch.stack(sums)
    cell_weights = part(context, "query_cell.")
    input_weight, read_weight = cell_weights["weight_ih"][:, :FEATURES], cell_weights["weight_ih"][:, FEATURES:]
    both = torch.cat([cell_weights["weight_hh"], read_weight], dim=1)  # what multiplies the concatenated state [h, r]
    answers = []
    for x in queries:
        output = cell = torch.zeros(FEATURES, dtype=torch.float64)
        for _ in range(reading_steps):
            state = output + x
            kernel = [(state @ item).exp() for item in g]
            read = torch.stack([weight * item for weight, item in zip(kernel, g, strict=True)]).sum(dim=0) / sum(kernel)
            weights = (input_weight, both, cell_weights["bias_ih"], cell_weights["bias_hh"])
            output, cell = reference_lstm(x, torch.cat([state, read]), cell, weights)
        answers.append(output + x)
    return g, torch.stack(answers)


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, st.floats(0.1, 5), SEEDS)
def test_logits_loss_and_gradients_agree_with_the_paper(
    shape: tuple[int, int, int], distance: str, scale: float, seed: int
) -> None:
    episodes = embedded_episodes(*shape, seed)
    leaves = [episodes.support.requires_grad_(), episodes.query.requires_grad_()]
    ours = network(distance=distance, scale=scale).embedded_logits(episodes)
    parts = zip(episodes.support, episodes.query.flatten(1, 2), strict=True)
    theirs = torch.stack([reference_probabilities(support, query, distance, scale).log() for support, query in parts])
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert_gradients_agree(loss_of(ours, episodes), loss_of(theirs, episodes), leaves)


@settings(max_examples=15, deadline=None)
@given(SHAPES, DISTANCES, st.integers(1, 4), st.sampled_from(["by_class", "interleaved"]), SEEDS)
def test_full_context_embeddings_agree_with_the_paper(
    shape: tuple[int, int, int], distance: str, reading_steps: int, order: str, seed: int
) -> None:
    way, shot, _ = shape
    episodes = embedded_episodes(*shape, seed, episodes=1)
    learner = with_context(distance=distance, reading_steps=reading_steps, support_order=order)
    for values in learner.weights.values():
        values.requires_grad_()
    places = torch.arange(way * shot)  # in reading order; places[i] is the row, class by class, of the i-th item read
    if order == "interleaved":
        places = torch.tensor([index * shot + item for item in range(shot) for index in range(way)])
    leaves = [episodes.support.requires_grad_(), episodes.query.requires_grad_(), *learner.weights.values()]
    read = episodes.support[0].flatten(0, 1)[places]
    g, f = reference_context(of_group(part(learner.weights, "context."), 0), read, episodes.query[0].flatten(0, 1), reading_steps)
    theirs = reference_probabilities(g[places.argsort()].reshape(way, shot, -1), f, distance, 1.0).log()[None]
    ours = learner.embedded_logits(episodes)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert_gradients_agree(loss_of(ours, episodes), loss_of(theirs, episodes), leaves)


def test_the_first_read_attends_with_the_query_itself() -> None:
    """Of an LSTM whose output is its read-out alone, squashed twice: from a zero state each would read the mean of the support."""
    learner = with_context(reading_steps=1)
    weights = of_group(part(learner.weights, "context."), 0)
    for name, values in weights.items():
        if name.startswith("query_cell."):
            values.zero_()
    read_weight = weights["query_cell.weight_ih"][2 * FEATURES : 3 * FEATURES, FEATURES:]  # the candidate's, of the read-out
    read_weight.copy_(torch.eye(FEATURES))
    support = torch.eye(4, FEATURES, dtype=torch.float64)[None]
    query = 50 * support  # each is so sure of one support image that it reads that one alone
    ours = learner.algorithm.context.embed_query(weights, query, support) - query
    torch.testing.assert_close(ours, torch.tanh(torch.tanh(support) / 2) / 2, rtol=1e-10, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, SEEDS)
def test_scores_are_log_probabilities(shape: tuple[int, int, int], distance: str, seed: int) -> None:
    logits = network(distance=distance).embedded_logits(embedded_episodes(*shape, seed))
    torch.testing.assert_close(logits.exp().sum(dim=2), torch.ones(logits.shape[:2], dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, SEEDS)
def test_permuting_the_classes_permutes_the_scores(shape: tuple[int, int, int], distance: str, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed)
    order = torch.randperm(shape[0], generator=torch.Generator().manual_seed(seed))
    permuted = network(distance=distance).embedded_logits(EpisodeBatch(support=episodes.support[:, order], query=episodes.query))
    torch.testing.assert_close(permuted, network(distance=distance).embedded_logits(episodes)[..., order])


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, SEEDS)
def test_the_order_of_the_support_does_not_matter_without_context(shape: tuple[int, int, int], distance: str, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed)
    turned = EpisodeBatch(support=episodes.support.flip(2), query=episodes.query)
    torch.testing.assert_close(
        network(distance=distance).embedded_logits(turned), network(distance=distance).embedded_logits(episodes)
    )


def test_the_order_of_the_support_matters_with_context() -> None:
    """Which is why it is part of the recipe."""
    episodes = embedded_episodes(3, 2, 2, 0)
    turned = EpisodeBatch(support=episodes.support.flip(2), query=episodes.query)
    orders = [with_context(support_order=order).embedded_logits(episodes) for order in ("by_class", "interleaved")]
    assert not torch.allclose(orders[0], orders[1])
    assert not torch.allclose(orders[0], with_context().embedded_logits(turned))


@pytest.mark.parametrize("distance", ["squared_euclidean", "cosine"])
@pytest.mark.parametrize("size", [0.0, 1e-20, 1.0, 1e4])
def test_the_loss_is_finite_and_differentiable_everywhere_in_float32(distance: str, size: float) -> None:
    """Also where a probability rounds to 0 or to 1, or an embedding is zero."""
    generator = torch.Generator().manual_seed(0)
    support = (size * torch.randn(1, 5, 3, FEATURES, generator=generator)).requires_grad_()
    query = (size * torch.randn(1, 5, 2, FEATURES, generator=generator)).requires_grad_()
    episodes = EpisodeBatch(support=support, query=query)
    logits = network(dtype=torch.float32, distance=distance, scale=10.0).embedded_logits(episodes)
    loss_of(logits, episodes).backward()  # type: ignore[no-untyped-call]
    for value in (logits, support.grad, query.grad):
        assert value is not None and torch.isfinite(value).all()


def test_a_confident_wrong_answer_still_has_a_gradient() -> None:
    """Where a clamp of the probabilities would cut it."""
    support = torch.eye(2, FEATURES).reshape(1, 2, 1, -1) * 100
    query = support.flip(1).clone().requires_grad_()
    episodes = EpisodeBatch(support=support, query=query)
    learner = network(dtype=torch.float32, distance="squared_euclidean")
    loss_of(learner.embedded_logits(episodes), episodes).backward()  # type: ignore[no-untyped-call]
    assert query.grad is not None and query.grad.abs().max() > 1


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, st.sampled_from([1e-8, 1e-3, 0.2]), st.floats(0.1, 20), SEEDS)
@example((3, 1, 1), "squared_euclidean", 1e-8, 12.0, 11)
def test_a_clamped_loss_is_that_of_clamped_probabilities(
    shape: tuple[int, int, int], distance: str, clamp: float, scale: float, seed: int
) -> None:
    """The 2018 reproduction's: of the probability of each query's own class, clamped, the mean negative logarithm."""
    episodes = embedded_episodes(*shape, seed)
    leaves = [episodes.support.requires_grad_(), episodes.query.requires_grad_()]
    learner, labels = network(distance=distance, scale=scale, clamp=clamp), class_labels(shape[0], shape[2])
    ours = learner.algorithm.loss(learner.embedded_logits(episodes), labels).mean()
    parts = zip(episodes.support, episodes.query.flatten(1, 2), strict=True)
    rows = torch.cat([reference_probabilities(support, query, distance, scale) for support, query in parts])
    of_own = torch.nn.functional.one_hot(labels.repeat(len(episodes)), shape[0]).bool()
    own, others = rows[of_own], rows[~of_own].unflatten(0, (len(rows), -1))
    inside = (own >= clamp) & (own <= 1 - clamp)
    # a probability near 1 is written by the others' ratios to it, which keep the digits that its difference from 1 loses
    within = torch.log1p((others[inside] / own[inside, None]).sum(dim=1))
    beyond = -own[~inside].detach().clamp(clamp, 1 - clamp).log()
    theirs = (within.sum() + beyond.sum()) / len(own)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)
    if inside.any():
        assert_gradients_agree(ours, theirs, leaves)


def test_a_clamped_confident_answer_has_no_gradient_and_is_unchanged() -> None:
    """Wrong or right: the loss is flat there, and the scores, by which a query is answered, are not clamped."""
    support = torch.eye(3, FEATURES, dtype=torch.float64).reshape(1, 3, 1, -1) * 100
    for turn, loss in ((0, -math.log1p(-1e-8)), (1, -math.log(1e-8))):
        query = support.roll(turn, dims=1).clone().requires_grad_()
        episodes = EpisodeBatch(support=support, query=query)
        algorithm, plain = network(distance="squared_euclidean", clamp=1e-8), network(distance="squared_euclidean")
        scores = algorithm.embedded_logits(episodes)
        assert scores.equal(plain.embedded_logits(episodes))
        clamped = algorithm.algorithm.loss(scores, class_labels(3, 1))[0]
        assert clamped.item() == pytest.approx(loss, rel=1e-12)
        clamped.backward()  # type: ignore[no-untyped-call]
        assert query.grad is not None and not query.grad.any()


@pytest.mark.parametrize(("way", "cap"), [(5, 0.405), (20, 0.125)])
def test_a_plain_cosine_of_rectified_embeddings_caps_the_attention(way: int, cap: float) -> None:
    """At its best one support has cosine 1 and the others 0: e / (e + way - 1). A scale lifts the cap."""
    support = torch.eye(way, way, dtype=torch.float64).reshape(1, way, 1, -1)
    episodes = EpisodeBatch(support=support, query=support)
    best = network(features=way).embedded_logits(episodes)
    assert best.exp().max().item() == pytest.approx(cap, abs=5e-4)
    lifted = network(features=way, scale=10.0).embedded_logits(episodes)
    assert lifted.exp().max().item() > 0.99


def test_a_learned_scale_starts_at_its_setting_and_is_learned() -> None:
    algorithm, fixed = network(scale=10.0, learn_scale=True), network(scale=10.0)
    scale = algorithm.weights["log_scale"].requires_grad_()
    episodes = embedded_episodes(4, 2, 3, 0)
    torch.testing.assert_close(algorithm.embedded_logits(episodes), fixed.embedded_logits(episodes), rtol=1e-6, atol=1e-6)
    loss_of(algorithm.embedded_logits(episodes), episodes).backward()  # type: ignore[no-untyped-call]
    assert scale.grad is not None and scale.grad.abs() > 0
    assert math.isclose(scale.exp().item(), 10.0, rel_tol=1e-6)
    assert "log_scale" not in fixed.weights


@pytest.mark.parametrize("context", [False, True])
def test_every_parameter_gets_a_gradient(context: bool) -> None:
    extra = {"fce": True, "reading_steps": 2, "support_order": "by_class"} if context else {}
    chosen = MatchingSettings(scale=10.0, learn_scale=True, **extra)  # type: ignore[arg-type]
    backbone = Conv4((1, 28, 28), Conv4Settings(filters=8))
    learner = Learner.of(MatchingNetworks(backbone, chosen), dtype=torch.float32)
    assert isinstance(learner.algorithm, MetricAlgorithm)
    gradient = learner.taught(image_episodes(3, 2, 4)).gradient
    assert gradient.keys() == learner.weights.keys()
    assert not [name for name, values in gradient.items() if not values.abs().max() > 0]
