"""A backbone that drops activations at random: in training alone, by the episodes' own words, for every algorithm."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, MetaGradient, MetricAlgorithm
from fsl_core.algorithms.anil import AnilSettings
from fsl_core.algorithms.maml import Maml
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.mlp import Mlp
from fsl_core.backbones.weights import Statistics, Weights, repeated
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.randomness import Stream, standard_normal, uniform_of_each, words
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import MlpSettings

WAY, SHOT, QUERY = 3, 2, 4
IMAGE = (1, 6, 6)
DROPPED = 0.25
ALGORITHMS: tuple[AlgorithmSettings, ...] = (
    PrototypicalSettings(),
    MatchingSettings(scale=10.0, learn_scale=True),
    MamlSettings(order=1, adaptation_steps=2, inner_lr=0.1),
    MamlSettings(order=2, adaptation_steps=1, inner_lr=0.1),
    MamlSettings(order=2, adaptation_steps=2, inner_lr=0.1),
    AnilSettings(order=2, adaptation_steps=2, inner_lr=0.1),
    ReptileSettings(adaptation_steps=2, inner_lr=0.1, inner_batch_size=3, inner_optimiser="sgd"),
)


@dataclasses.dataclass(frozen=True)
class Dropping(Mlp):
    """The MLP with dropout of its embeddings."""

    def apply(
        self, weights: Mapping[str, torch.Tensor], images: Images, *, kernels: Kernels, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, Statistics]:
        embedded, used = super().apply(weights, images, kernels=kernels, statistics=statistics)
        chance = images.uniform("dropout", tuple(embedded.shape[1:]))
        return embedded if chance is None else embedded * (chance >= DROPPED) / (1 - DROPPED), used


def learner(settings: AlgorithmSettings, *, drops: bool = True) -> tuple[Any, Weights]:
    """The algorithm, and float64 weights of one group."""
    backbone = (Dropping if drops else Mlp)(IMAGE, MlpSettings(batch_norm="batch" if settings.adapts else "running"))
    algorithm = settings.build(backbone, way=WAY)
    return algorithm, {name: value[None].double() for name, value in algorithm.initial_weights(Stream(1, "weights")).items()}


def episodes_of(count: int, *, key: int = 5) -> EpisodeBatch:
    support, query = (standard_normal(each, (count, WAY, each, *IMAGE)) for each in (SHOT, QUERY))
    return EpisodeBatch(support=support, query=query, words=words(key, (count,)))


def gradient_of(settings: AlgorithmSettings, episodes: EpisodeBatch, *, drops: bool = True) -> MetaGradient:
    algorithm, weights = learner(settings, drops=drops)
    meta: MetaGradient = algorithm.meta_gradient(weights, episodes, loss_factor=1.0, kernels=Kernels())
    return meta


def differs(one: MetaGradient, other: MetaGradient) -> bool:
    return any(not torch.allclose(values, other.gradient[name]) for name, values in one.gradient.items())


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 5), st.integers(1, 40))
def test_each_word_has_values_of_its_own_name(word: int, rows: int, columns: int) -> None:
    own = torch.tensor([word, word ^ 1])
    values = uniform_of_each(own, "a", (rows, columns))
    assert values.shape == (2, rows, columns) and values.dtype == torch.float64
    assert bool(((values >= 0) & (values < 1)).all()) and len(values.unique()) == values.numel()
    assert torch.equal(values[1], uniform_of_each(own[1:], "a", (rows, columns))[0])
    assert not torch.equal(values, uniform_of_each(own, "b", (rows, columns)))


def test_the_values_are_uniform() -> None:
    values = uniform_of_each(words(3, (50,)), "dropout", (2000,)).flatten().sort().values
    steps = torch.arange(1, len(values) + 1) / len(values)
    assert float((values - steps).abs().max()) < 1.63 / len(values) ** 0.5, "Kolmogorov and Smirnov, 1 %"


@pytest.mark.parametrize("settings", ALGORITHMS, ids=str)
def test_what_is_dropped_in_training_is_decided_by_the_episodes_words(settings: AlgorithmSettings) -> None:
    episodes = episodes_of(2)
    dropped = gradient_of(settings, episodes)
    assert not differs(dropped, gradient_of(settings, episodes)), "a function of its arguments"
    assert differs(dropped, gradient_of(settings, episodes, drops=False))
    if not isinstance(settings, ReptileSettings):  # whose batches are shuffled by the words too
        assert differs(dropped, gradient_of(settings, dataclasses.replace(episodes, words=words(6, (2,)))))
        without = dataclasses.replace(episodes, words=None)
        assert not differs(gradient_of(settings, without), gradient_of(settings, without, drops=False))


@pytest.mark.parametrize("settings", ALGORITHMS, ids=str)
def test_a_part_of_a_meta_batch_drops_what_the_whole_does(settings: AlgorithmSettings) -> None:
    episodes = episodes_of(2)
    whole, parts = gradient_of(settings, episodes), [gradient_of(settings, part) for part in episodes.parts(1)]
    for name, values in whole.gradient.items():
        torch.testing.assert_close(values, (parts[0].gradient[name] + parts[1].gradient[name]) / 2, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("settings", ALGORITHMS, ids=str)
def test_nothing_is_dropped_in_scoring(settings: AlgorithmSettings) -> None:
    episodes = episodes_of(2)
    answers = []
    for drops in (True, False):
        algorithm, weights = learner(settings, drops=drops)
        if isinstance(algorithm, AdaptingAlgorithm):
            answers.append(algorithm.logits_after(weights, episodes, range(3), kernels=Kernels()))
        else:
            assert isinstance(algorithm, MetricAlgorithm)
            statistics = {name: values[None].double() for name, values in algorithm.initial_statistics().items()}
            answers.append(algorithm.embed(weights, statistics, episodes.query.flatten(0, 2), Kernels()))
    assert torch.equal(*answers)


@pytest.mark.parametrize("settings", [each for each in ALGORITHMS if isinstance(each, MamlSettings)], ids=str)
def test_mamls_gradient_is_that_of_autograd_through_the_same_dropped_activations(settings: MamlSettings) -> None:
    """And the functions that are compiled one by one compute it too."""
    algorithm, weights = learner(settings)
    assert isinstance(algorithm, Maml)
    episodes = episodes_of(2)
    meta = algorithm.meta_gradient(weights, episodes, loss_factor=1.0, kernels=Kernels())
    by_parts = algorithm.meta_gradient_by_parts(
        weights, episodes, loss_factor=1.0, kernels=Kernels(), compute=lambda name, function, *arguments: function(*arguments)
    )
    expected = through_the_adaptation(algorithm, weights, episodes, settings)
    for name, values in meta.gradient.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(values, by_parts.gradient[name], rtol=1e-12, atol=1e-14)


def through_the_adaptation(algorithm: Maml, weights: Weights, episodes: EpisodeBatch, settings: MamlSettings) -> Weights:
    """Plain autograd through every adaptation step of each episode."""
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    fast = {name: repeated(value, len(episodes)) for name, value in leaves.items()}
    support = Images(episodes.support.flatten(1, 2), words=episodes.words, part="support")
    query = Images(episodes.query.flatten(1, 2), words=episodes.words, part="query")
    for _ in range(settings.adaptation_steps):
        loss = cross_entropy_of(algorithm, fast, support, SHOT).sum()
        gradients = torch.autograd.grad(loss, list(fast.values()), create_graph=settings.order == 2)
        fast = {name: value - settings.inner_lr * each for (name, value), each in zip(fast.items(), gradients, strict=True)}
    loss = cross_entropy_of(algorithm, fast, query, QUERY).mean()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def cross_entropy_of(algorithm: Maml, weights: Weights, images: Images, each: int) -> torch.Tensor:
    """The mean loss of each episode's images, which are class by class."""
    logits, _ = algorithm.network.scores(weights, images, Kernels(normalisation="plain"))
    labels = torch.arange(WAY).repeat_interleave(each)
    return torch.stack([torch.nn.functional.cross_entropy(own, labels) for own in logits])
