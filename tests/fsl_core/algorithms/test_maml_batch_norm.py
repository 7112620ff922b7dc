"""What MAML's BatchNorm sees: the support alone while it adapts, then the query alone; against a network written out in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fsl_core.algorithms.algorithm import class_labels
from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.mlp import Mlp
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.errors import RecipeError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from tests.fsl_core.algorithms.episodes import assert_gradients_agree, embedded_episodes, image_episodes, loss_of

INPUTS, HIDDEN, EPS = 5, 4, 1e-5
SHAPES = st.tuples(st.integers(3, 5), st.integers(1, 3), st.integers(1, 3))
"""Three images at least in each batch: of two, BatchNorm leaves but the signs, and a gradient that is all rounding."""
SEEDS = st.integers(0, 2**31)
KINDS = st.sampled_from([1, 2])
"""BatchNorm1d, and BatchNorm2d on maps of one pixel, which is the same function."""


def normalised(way: int, seed: int, *, kind: int = 1, **changes: object) -> Maml:
    """Linear, BatchNorm, tanh and MAML's own linear layer; all weights are drawn, BatchNorm's too."""
    generator = torch.Generator().manual_seed(seed)
    norm: list[nn.Module] = [nn.BatchNorm1d(HIDDEN, track_running_stats=False)]
    if kind == 2:
        norm = [nn.Unflatten(1, (HIDDEN, 1, 1)), nn.BatchNorm2d(HIDDEN, track_running_stats=False), nn.Flatten()]
    backbone = nn.Sequential(nn.Linear(INPUTS, HIDDEN, bias=False), *norm, nn.Tanh())
    chosen = MamlSettings(**{"inner_lr": 0.3, **changes})  # type: ignore[arg-type]
    algorithm = Maml(backbone, chosen, features=HIDDEN, way=way, stream=Stream(seed, "weights")).double()
    for parameter in algorithm.parameters():
        nn.init.normal_(parameter, std=0.7, generator=generator)
    return algorithm


def reference_network(weights: list[torch.Tensor], x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """One batch ``[B, INPUTS]``, normalised by the mean and the biased variance of ``seen``: by its own where none is given."""
    matrix, scale, shift, head, head_bias = weights
    z = (x if seen is None else seen) @ matrix.T
    mean = z.sum(0) / len(z)
    variance = ((z - mean) ** 2).sum(0) / len(z)
    return torch.tanh((x @ matrix.T - mean) / (variance + EPS).sqrt() * scale + shift) @ head.T + head_bias


def reference_logits(algorithm: Maml, episodes: EpisodeBatch, steps: int, *, inductive: bool = False) -> torch.Tensor:
    """Algorithm 2 with the matrices written out: BatchNorm's scale and shift, weights 1 and 2, are adapted or stay."""
    chosen = algorithm.settings
    way, shot = episodes.support.shape[1:3]
    adapted = (0, 1, 2, 3, 4) if chosen.adapt_batch_norm else (0, 3, 4)
    every = []
    for support, query in zip(episodes.support.flatten(1, 2), episodes.query.flatten(1, 2), strict=True):
        weights = list(algorithm.parameters())
        for _ in range(steps):
            log_probabilities = torch.log_softmax(reference_network(weights, support), dim=1)
            loss = -sum(log_probabilities[row, label] for row, label in enumerate(class_labels(way, shot))) / (way * shot)
            gradients = torch.autograd.grad(loss, [weights[index] for index in adapted], create_graph=True)
            for index, gradient in zip(adapted, gradients, strict=True):
                weights[index] = weights[index] - chosen.inner_lr * (gradient if chosen.order == 2 else gradient.detach())
        every.append(reference_network(weights, query, support if inductive else None))
    return torch.stack(every)


@settings(max_examples=30, deadline=None)
@given(SHAPES, KINDS, st.sampled_from([1, 2]), st.booleans(), st.integers(0, 3), SEEDS)
def test_logits_and_meta_gradients_agree_with_the_network_written_out(
    shape: tuple[int, int, int], kind: int, order: int, adapt_batch_norm: bool, steps: int, seed: int
) -> None:
    episodes = embedded_episodes(*shape, seed, features=INPUTS)
    algorithm = normalised(shape[0], seed, kind=kind, order=order, adaptation_steps=steps, adapt_batch_norm=adapt_batch_norm)
    ours, theirs = algorithm.training_logits(episodes), reference_logits(algorithm, episodes, steps)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert_gradients_agree(loss_of(ours, episodes), loss_of(theirs, episodes), list(algorithm.parameters()))


@settings(max_examples=20, deadline=None)
@given(SHAPES, KINDS, st.booleans(), st.booleans(), SEEDS)
def test_scores_agree_with_the_network_written_out(
    shape: tuple[int, int, int], kind: int, adapt_batch_norm: bool, inductive: bool, seed: int
) -> None:
    """Under evaluation, where BatchNorm without running statistics uses the batch's own, or the support's under the same weights."""
    episodes = embedded_episodes(*shape, seed, features=INPUTS)
    algorithm = normalised(shape[0], seed, kind=kind, adapt_batch_norm=adapt_batch_norm).eval()
    with torch.no_grad():
        scores = algorithm.logits_after(episodes, (0, 1, 3), inductive=inductive)
    for steps, mine in zip((0, 1, 3), scores, strict=True):
        theirs = reference_logits(algorithm, episodes, steps, inductive=inductive).detach()
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


BACKBONES = pytest.mark.parametrize(
    "backbone", [Conv4Settings(filters=4, batch_norm="batch"), MlpSettings()], ids=lambda chosen: chosen.name
)


def network(backbone: Conv4Settings | MlpSettings, **changes: object) -> Maml:
    stream = Stream(0, "weights")
    build = Mlp if isinstance(backbone, MlpSettings) else Conv4
    embedding: Conv4 | Mlp = build((1, 28, 28), backbone, stream=stream)  # type: ignore[arg-type]
    return Maml(embedding, MamlSettings(**changes), features=embedding.features, way=3, stream=stream).double()  # type: ignore[arg-type]


@BACKBONES
def test_an_answer_sees_the_other_queries_but_the_support_only_by_adapting_to_it(backbone: Conv4Settings | MlpSettings) -> None:
    one, other = (image_episodes(3, 2, 2, episodes=1, seed=seed, dtype=torch.float64) for seed in (0, 1))
    elsewhere = EpisodeBatch(support=other.support, query=one.query)
    for steps, same in ((0, True), (1, False)):
        algorithm = network(backbone, adaptation_steps=steps)
        answers = [algorithm.training_logits(episodes) for episodes in (one, elsewhere)]
        assert torch.equal(*answers) is same
    changed = one.query.clone()
    changed[0, 2, 1] = other.query[0, 2, 1]  # the last query image
    first = [algorithm.training_logits(EpisodeBatch(support=one.support, query=query))[0, 0] for query in (one.query, changed)]
    assert (first[0] - first[1]).abs().max() > 1e-6


@BACKBONES
def test_adaptation_sees_no_query(backbone: Conv4Settings | MlpSettings) -> None:
    """The fast weights come of the support alone: on the same query they answer as plain descent on the support would."""
    episodes = image_episodes(3, 2, 2, episodes=1, dtype=torch.float64)
    algorithm = network(backbone, adaptation_steps=1, inner_lr=0.1)
    ours = algorithm.training_logits(episodes)[0]
    optimiser = torch.optim.SGD(algorithm.network.parameters(), lr=0.1)
    scores = algorithm.network(episodes.support[0].flatten(0, 1))
    nn.functional.cross_entropy(scores, class_labels(3, 2)).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    torch.testing.assert_close(ours, algorithm.network(episodes.query[0].flatten(0, 1)), rtol=1e-10, atol=1e-10)


def reference_embeddings(network: Maml, support: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """The query's embeddings where every layer normalises both by the support's mean and biased variance, one layer after another."""
    backbone = network.network[0]
    layers = backbone.layers if isinstance(backbone, Mlp) else backbone.blocks  # type: ignore[union-attr]
    values = [part.flatten(1) if isinstance(backbone, Mlp) else part for part in (support, query)]
    for layer in layers:
        if isinstance(backbone, Mlp):
            values = [part @ layer[0].weight.T for part in values]
        else:
            values = [nn.functional.conv2d(part, layer.conv.weight, padding=1) for part in values]
        channels = values[0].movedim(1, -1).flatten(0, -2)
        mean, deviation = channels.mean(0), (channels.var(0, unbiased=False) + EPS).sqrt()
        values = [((part.movedim(1, -1) - mean) / deviation).movedim(-1, 1).relu() for part in values]
        if not isinstance(backbone, Mlp):
            values = [nn.functional.max_pool2d(part, 2) for part in values]
    return values[1].flatten(1)


@BACKBONES
@pytest.mark.parametrize("steps", [0, 2])
def test_an_inductive_answer_is_normalised_by_the_support_layer_by_layer(
    backbone: Conv4Settings | MlpSettings, steps: int
) -> None:
    """Under the fast weights, which plain descent on the support finds here; BatchNorm's own weights, 1 and 0, are not adapted."""
    episodes = image_episodes(3, 2, 2, episodes=1, dtype=torch.float64)
    support, query = episodes.support[0].flatten(0, 1), episodes.query[0].flatten(0, 1)
    algorithm = network(backbone, inner_lr=0.1, adapt_batch_norm=False).eval()
    with torch.no_grad():
        ours = algorithm.logits_after(episodes, (steps,), inductive=True)[0, 0]
    optimiser = torch.optim.SGD(algorithm.adaptable_weights().values(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(algorithm.network(support), class_labels(3, 2)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    head = algorithm.network[1]
    theirs = head(reference_embeddings(algorithm, support, query))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@BACKBONES
@pytest.mark.parametrize("inductive", [True, False])
@torch.no_grad()
def test_queries_one_at_a_time_answer_as_all_together_where_scored_inductively_alone(
    backbone: Conv4Settings | MlpSettings, inductive: bool
) -> None:
    episodes = image_episodes(3, 2, 4, episodes=2, dtype=torch.float64)
    algorithm = network(backbone).eval()
    together = algorithm.logits_after(episodes, (0, 1, 2), inductive=inductive).unflatten(2, (3, 4))
    for number in range(4):
        alone = EpisodeBatch(support=episodes.support, query=episodes.query[:, :, number : number + 1])
        scores = algorithm.logits_after(alone, (0, 1, 2), inductive=inductive)
        assert torch.allclose(scores, together[:, :, :, number], rtol=1e-10, atol=1e-10) is inductive


def test_nothing_is_scored_inductively_in_training_mode() -> None:
    """There BatchNorm would use the query's batch all the same."""
    algorithm = network(MlpSettings())
    with pytest.raises(RecipeError, match="in evaluation mode alone"):
        algorithm.train().logits_after(image_episodes(3, 1, 1, dtype=torch.float64), (0,), inductive=True)


@torch.no_grad()
def test_an_inductive_score_leaves_no_trace() -> None:
    """Neither statistics nor hooks: the network answers as before, by the batch's own."""
    episodes = image_episodes(3, 2, 2, dtype=torch.float64)
    algorithm = network(MlpSettings()).eval()
    before = algorithm.logits_after(episodes, (0, 1))
    algorithm.logits_after(episodes, (0, 1), inductive=True)
    assert torch.equal(algorithm.logits_after(episodes, (0, 1)), before)
    assert not list(algorithm.buffers()) and not any(part._forward_pre_hooks for part in algorithm.modules())
