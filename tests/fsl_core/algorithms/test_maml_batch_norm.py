"""What MAML's BatchNorm sees: the support alone while it adapts, then the query alone; against a network written out in float64."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fsl_core.algorithms.algorithm import class_labels
from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.normalisation import BatchNorm
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from tests.fsl_core.algorithms.episodes import embedded_episodes, image_episodes, loss_of
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner, assert_teaches
from tests.fsl_core.pairs import Pair, recipe_of

INPUTS, HIDDEN, EPS = 5, 4, 1e-5
SHAPES = st.tuples(st.integers(3, 5), st.integers(1, 3), st.integers(1, 3))
"""Three images at least in each batch: of two, BatchNorm leaves but the signs, and a gradient that is all rounding."""
SEEDS = st.integers(0, 2**31)
KERNELS = st.sampled_from([Kernels(normalisation="fused"), Kernels(normalisation="plain")])
"""BatchNorm with its own derivatives, and as torch differentiates it, which is the same function."""
NORM = BatchNorm(name="norm", channels=HIDDEN, settings=MlpSettings())


@dataclass(frozen=True)
class Normalised(AsTheyAre):
    """A linear layer of :data:`INPUTS` numbers, BatchNorm and ReLU."""

    def initial_weights(self, stream: Stream) -> Weights:
        """All drawn, BatchNorm's too."""
        generator = torch.Generator().manual_seed(stream.key % 2**31)
        shapes = {"matrix": (HIDDEN, INPUTS), "norm.weight": (HIDDEN,), "norm.bias": (HIDDEN,)}
        return {name: 0.7 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        summed = images.pixels @ weights["matrix"].transpose(1, 2)
        if statistics is not None:
            factor, constant = NORM.as_affine(weights, statistics["norm"])
            return NORM.rectify(summed * factor[:, None] + constant[:, None]), statistics
        maps, used = NORM.rectified(summed.transpose(0, 1).flatten(1)[:, :, None, None], weights, kernels)
        return maps.flatten(1).unflatten(1, (images.groups, HIDDEN)).transpose(0, 1), {"norm": used}


def normalised(way: int, seed: int, **changes: object) -> Learner:
    """:class:`Normalised` and MAML's own linear layer."""
    chosen = MamlSettings(**{"inner_lr": 0.3, **changes})  # type: ignore[arg-type]
    learner = Learner.of(Maml(Normalised(HIDDEN, {"norm": HIDDEN}), chosen, way=way), seed=seed)
    bias = 0.7 * torch.randn(way, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return learner.having(**{"network.1.bias": bias})


def reference_network(weights: list[torch.Tensor], x: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """One batch ``[B, INPUTS]``, normalised by the mean and the biased variance of ``seen``: by its own where none is given."""
    matrix, scale, shift, head, head_bias = weights
    z = (x if seen is None else seen) @ matrix.T
    mean = z.sum(0) / len(z)
    variance = ((z - mean) ** 2).sum(0) / len(z)
    return torch.relu((x @ matrix.T - mean) / (variance + EPS).sqrt() * scale + shift) @ head.T + head_bias


def reference_logits(
    leaves: Weights, chosen: MamlSettings, episodes: EpisodeBatch, steps: int, *, inductive: bool = False
) -> torch.Tensor:
    """Algorithm 2 with the matrices written out: BatchNorm's scale and shift, weights 1 and 2, are adapted or stay."""
    way, shot = episodes.support.shape[1:3]
    adapted = (0, 1, 2, 3, 4) if chosen.adapt_batch_norm else (0, 3, 4)
    every = []
    for support, query in zip(episodes.support.flatten(1, 2), episodes.query.flatten(1, 2), strict=True):
        weights = list(leaves.values())
        for _ in range(steps):
            log_probabilities = torch.log_softmax(reference_network(weights, support), dim=1)
            loss = -sum(log_probabilities[row, label] for row, label in enumerate(class_labels(way, shot))) / (way * shot)
            gradients = torch.autograd.grad(loss, [weights[index] for index in adapted], create_graph=True)
            for index, gradient in zip(adapted, gradients, strict=True):
                weights[index] = weights[index] - chosen.inner_lr * (gradient if chosen.order == 2 else gradient.detach())
        every.append(reference_network(weights, query, support if inductive else None))
    return torch.stack(every)


@settings(max_examples=30, deadline=None)
@given(SHAPES, KERNELS, st.sampled_from([1, 2]), st.booleans(), st.integers(0, 3), SEEDS)
def test_logits_and_meta_gradients_agree_with_the_network_written_out(
    shape: tuple[int, int, int], kernels: Kernels, order: int, adapt_batch_norm: bool, steps: int, seed: int
) -> None:
    episodes = embedded_episodes(*shape, seed, features=INPUTS)
    learner = normalised(shape[0], seed, order=order, adaptation_steps=steps, adapt_batch_norm=adapt_batch_norm)
    leaves = learner.leaves()
    theirs = reference_logits(leaves, learner.algorithm.settings, episodes, steps)
    torch.testing.assert_close(learner.adapted_logits(episodes, kernels=kernels), theirs.detach(), rtol=1e-10, atol=1e-10)
    assert_teaches(learner.taught(episodes, kernels=kernels), loss_of(theirs, episodes), leaves)


@settings(max_examples=20, deadline=None)
@given(SHAPES, KERNELS, st.booleans(), st.booleans(), SEEDS)
def test_scores_agree_with_the_network_written_out(
    shape: tuple[int, int, int], kernels: Kernels, adapt_batch_norm: bool, inductive: bool, seed: int
) -> None:
    """BatchNorm uses the batch's own statistics, or the support's under the same weights."""
    episodes = embedded_episodes(*shape, seed, features=INPUTS)
    learner = normalised(shape[0], seed, adapt_batch_norm=adapt_batch_norm)
    scores = learner.algorithm.logits_after(learner.weights, episodes, (0, 1, 3), kernels=kernels, inductive=inductive)
    for steps, mine in zip((0, 1, 3), scores, strict=True):
        theirs = reference_logits(learner.leaves(), learner.algorithm.settings, episodes, steps, inductive=inductive).detach()
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


BACKBONES = pytest.mark.parametrize(
    "backbone", [Conv4Settings(filters=4, batch_norm="batch"), MlpSettings()], ids=lambda chosen: chosen.name
)


def network(backbone: Conv4Settings | MlpSettings, **changes: object) -> Learner:
    return pair(backbone, **changes).learner


def pair(backbone: Conv4Settings | MlpSettings, **changes: object) -> Pair:
    """MAML on 28x28 images beside torch's own modules with the same first weights."""
    return Pair.of(recipe_of(MamlSettings(**changes), backbone), image_shape=(1, 28, 28), norms=False)  # type: ignore[arg-type]


@BACKBONES
def test_an_answer_sees_the_other_queries_but_the_support_only_by_adapting_to_it(backbone: Conv4Settings | MlpSettings) -> None:
    one, other = (image_episodes(3, 2, 2, episodes=1, seed=seed, dtype=torch.float64) for seed in (0, 1))
    elsewhere = EpisodeBatch(support=other.support, query=one.query)
    for steps, same in ((0, True), (1, False)):
        learner = network(backbone, adaptation_steps=steps)
        answers = [learner.adapted_logits(episodes) for episodes in (one, elsewhere)]
        assert torch.equal(*answers) is same
        losses = [learner.taught(episodes).loss for episodes in (one, elsewhere)]
        assert torch.equal(*losses) is same
    changed = one.query.clone()
    changed[0, 2, 1] = other.query[0, 2, 1]  # the last query image
    first = [learner.adapted_logits(EpisodeBatch(support=one.support, query=query))[0, 0] for query in (one.query, changed)]
    assert (first[0] - first[1]).abs().max() > 1e-6


@BACKBONES
def test_adaptation_sees_no_query(backbone: Conv4Settings | MlpSettings) -> None:
    """The fast weights come of the support alone: on the same query they answer as plain descent on the support would."""
    episodes = image_episodes(3, 2, 2, episodes=1, dtype=torch.float64)
    both = pair(backbone, adaptation_steps=1, inner_lr=0.1)
    ours, plain = both.learner.adapted_logits(episodes)[0], both.plain.network
    optimiser = torch.optim.SGD(plain.parameters(), lr=0.1)
    nn.functional.cross_entropy(plain(episodes.support[0].flatten(0, 1)), class_labels(3, 2)).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    torch.testing.assert_close(ours, plain(episodes.query[0].flatten(0, 1)).detach(), rtol=1e-10, atol=1e-10)


def reference_embeddings(backbone: Any, support: torch.Tensor, query: torch.Tensor, *, pools: bool) -> torch.Tensor:
    """The query's embeddings where every layer normalises both by the support's mean and biased variance, one layer after another."""
    layers = backbone.blocks if pools else backbone.layers
    values = [part if pools else part.flatten(1) for part in (support, query)]
    for layer in layers:
        if pools:
            values = [nn.functional.conv2d(part, layer.conv.weight, padding=1) for part in values]
        else:
            values = [part @ layer[0].weight.T for part in values]
        channels = values[0].movedim(1, -1).flatten(0, -2)
        mean, deviation = channels.mean(0), (channels.var(0, unbiased=False) + EPS).sqrt()
        values = [((part.movedim(1, -1) - mean) / deviation).movedim(-1, 1).relu() for part in values]
        if pools:
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
    both = pair(backbone, inner_lr=0.1, adapt_batch_norm=False)
    ours, plain = both.learner.adapted_logits(episodes, steps, inductive=True)[0], both.plain.network
    optimiser = torch.optim.SGD(both.plain.adaptable_weights().values(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(plain(support), class_labels(3, 2)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    theirs = plain[1](reference_embeddings(plain[0], support, query, pools=isinstance(backbone, Conv4Settings))).detach()
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@BACKBONES
@pytest.mark.parametrize("inductive", [True, False])
def test_only_inductive_answers_are_the_same_for_queries_one_at_a_time(
    backbone: Conv4Settings | MlpSettings, inductive: bool
) -> None:
    episodes = image_episodes(3, 2, 4, episodes=2, dtype=torch.float64)
    learner = network(backbone)

    def scores_of(asked: EpisodeBatch) -> torch.Tensor:
        scores: torch.Tensor = learner.algorithm.logits_after(
            learner.weights, asked, (0, 1, 2), kernels=Kernels(), inductive=inductive
        )
        return scores

    together = scores_of(episodes).unflatten(2, (3, 4))
    for number in range(4):
        scores = scores_of(EpisodeBatch(support=episodes.support, query=episodes.query[:, :, number : number + 1]))
        assert torch.allclose(scores, together[:, :, :, number], rtol=1e-10, atol=1e-10) is inductive


def test_inductive_scoring_changes_nothing() -> None:
    """The network answers as before, by the batch's own statistics."""
    episodes = image_episodes(3, 2, 2, dtype=torch.float64)
    learner = network(MlpSettings())
    weights, before = copy.deepcopy(learner.weights), learner.adapted_logits(episodes, 1)
    assert not torch.equal(learner.adapted_logits(episodes, 1, inductive=True), before)
    assert torch.equal(learner.adapted_logits(episodes, 1), before)
    assert all(torch.equal(values, weights[name]) for name, values in learner.weights.items())
    assert not learner.algorithm.initial_statistics()
