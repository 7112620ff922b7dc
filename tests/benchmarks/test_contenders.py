"""Those who are compared take the same step: the same loss and the same gradient under the same weights, at tiny shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from benchmarks import ours
from benchmarks.baseline.catalogue import build_algorithm
from benchmarks.baseline.training_step import Training
from benchmarks.contenders import BASELINE, CONTENDERS, OURS, Contender
from benchmarks.installed_peers import is_installed, peer_module
from benchmarks.weight_names import gradients_of, take_weights, weights_of
from benchmarks.workloads import WORKLOADS, Workload
from fsl_core.datasets.extent import image_shape
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe

Gradient = Mapping[str, torch.Tensor]
ANOTHER_LOSS = {("easyfsl", "prototypical"), ("easyfsl", "matching_fce"), ("style_2018", "matching_fce")}
PEERS = [each for each in CONTENDERS.values() if each not in (OURS, BASELINE) and not each.our_allocator]
PAIRS = [(workload, peer) for workload in WORKLOADS.values() for peer in PEERS if peer.has(workload) and peer.dtype == "float32"]


def tiny(workload: Workload) -> TrainingRecipe:
    """The recipe of a workload with 4 filters, 3 ways, 2 queries and at most 2 episodes and 2 adaptation steps."""
    recipe, shape = workload.recipe, EpisodeShape(way=3, shot=workload.recipe.episode.shot, query=2)
    assert isinstance(recipe.backbone, Conv4Settings)
    algorithm = recipe.algorithm
    if hasattr(algorithm, "adaptation_steps"):
        algorithm = replace(algorithm, adaptation_steps=min(2, algorithm.adaptation_steps))
    return replace(
        recipe,
        algorithm=algorithm,
        episode=shape,
        validation=replace(recipe.validation, shape=shape),
        backbone=replace(recipe.backbone, filters=4),
        meta_batch_size=min(2, recipe.meta_batch_size),
    )


def episodes_of(recipe: TrainingRecipe, dtype: torch.dtype) -> EpisodeBatch:
    generator, shape = torch.Generator().manual_seed(0), recipe.episode
    channels, height, width = image_shape(recipe.data)
    sizes = (recipe.meta_batch_size, shape.way, shape.images_per_class, channels, min(height, 36), min(width, 36))
    images = torch.rand(sizes, generator=generator, dtype=dtype)
    return EpisodeBatch(support=images[:, :, : shape.shot], query=images[:, :, shape.shot :])


def by_baseline(recipe: TrainingRecipe, episodes: EpisodeBatch) -> tuple[Gradient, torch.Tensor, Gradient]:
    """Weights, and the baseline's loss and gradient under them."""
    torch.manual_seed(0)
    image_shape = tuple(episodes.support.shape[-3:])
    algorithm = build_algorithm(recipe, image_shape=image_shape).to(episodes.support.dtype)  # type: ignore[arg-type]
    training = Training(algorithm, recipe)
    training.add_gradients(episodes)
    return weights_of(algorithm), training.interval_loss, gradients_of(algorithm)


def by_peer(peer: Contender, recipe: TrainingRecipe, weights: Gradient, episodes: EpisodeBatch) -> tuple[torch.Tensor, Gradient]:
    """A peer's loss and gradient under given weights."""
    if peer.needs is not None and not is_installed(peer.needs):
        pytest.skip(f"{peer.needs} is not installed: make bench does it")
    learner = peer_module(peer.module).learner(recipe, tuple(episodes.support.shape[-3:]))
    learner.trained.to(episodes.support.dtype)
    take_weights(learner.network, weights)
    return learner.backward(episodes).detach(), gradients_of(learner.network)


def assert_equal(one: tuple[torch.Tensor, Gradient], other: tuple[torch.Tensor, Gradient], tolerance: float) -> None:
    """Losses agree, and gradients by the largest entry of each tensor; a convolution's bias has none before BatchNorm."""
    torch.testing.assert_close(one[0].double(), other[0].double(), rtol=tolerance, atol=0)
    assert set(other[1]) - set(one[1]) <= {f"blocks.{block}.conv.bias" for block in range(4)}
    for name, gradient in one[1].items():
        assert (gradient - other[1][name]).abs().max() <= tolerance * gradient.abs().max(), name


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-3)], ids=["float64", "float32"])
def test_ours_takes_the_step_of_the_baseline(workload: Workload, dtype: torch.dtype, tolerance: float) -> None:
    recipe = tiny(workload)
    episodes = episodes_of(recipe, dtype)
    weights, *baseline = by_baseline(recipe, episodes)
    assert_equal((baseline[0], baseline[1]), ours.loss_and_gradient(recipe, weights, episodes), tolerance)


@pytest.mark.parametrize(
    ("workload", "peer"),
    [
        pytest.param(workload, peer, marks=pytest.mark.slow if "mini_imagenet" in workload.name else ())
        for workload, peer in PAIRS
        if (peer.name, workload.kind) not in ANOTHER_LOSS
    ],
    ids=lambda value: value.name,
)
def test_a_peer_takes_our_step(workload: Workload, peer: Contender) -> None:
    recipe = tiny(workload)
    episodes = episodes_of(recipe, torch.float64)
    weights, *_ = by_baseline(recipe, episodes)
    assert_equal(ours.loss_and_gradient(recipe, weights, episodes), by_peer(peer, recipe, weights, episodes), 1e-6)


def test_a_step_with_another_rate_is_not_taken_for_ours() -> None:
    recipe = tiny(WORKLOADS["maml_omniglot_order_2"])
    episodes = episodes_of(recipe, torch.float64)
    weights, *_ = by_baseline(recipe, episodes)
    faster = replace(recipe, algorithm=replace(recipe.algorithm, inner_lr=0.41))
    with pytest.raises(AssertionError):
        assert_equal(
            ours.loss_and_gradient(recipe, weights, episodes),
            by_peer(CONTENDERS["style_learn2learn"], faster, weights, episodes),
            1e-6,
        )


def test_easyfsl_answers_by_the_plain_distances_of_our_embeddings() -> None:
    """Its loss is another one; its distances are ours, where support and query pass the network apart."""
    if not is_installed("easyfsl"):
        pytest.skip("easyfsl is not installed: make bench does it")
    recipe = tiny(WORKLOADS["prototypical_omniglot"])
    episodes = episodes_of(recipe, torch.float64)
    learner = peer_module("peers.easyfsl_metric").learner(recipe, (1, 28, 28))
    learner.trained.double()
    algorithm = build_algorithm(recipe, image_shape=(1, 28, 28)).double()
    take_weights(algorithm, weights_of(learner.network))
    shape = recipe.episode
    support, query = episodes.support[0].flatten(0, 1), episodes.query[0].flatten(0, 1)
    embedded = EpisodeBatch(
        support=algorithm.embed(support).reshape(1, shape.way, shape.shot, -1),  # type: ignore[operator]
        query=algorithm.embed(query).reshape(1, shape.way, shape.query, -1),  # type: ignore[operator]
    )
    expected = -(-algorithm.logits(embedded)[0]).sqrt()  # type: ignore[operator]
    torch.testing.assert_close(learner.scores(episodes), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("workload", "peer"),
    [pair for pair in PAIRS if (pair[1].name, pair[0].kind) in ANOTHER_LOSS],
    ids=lambda value: value.name,
)
def test_a_peer_with_another_loss_lowers_it(workload: Workload, peer: Contender) -> None:
    if peer.needs is not None and not is_installed(peer.needs):
        pytest.skip(f"{peer.needs} is not installed: make bench does it")
    torch.manual_seed(0)
    recipe = tiny(workload)
    episodes = episodes_of(recipe, torch.float32)
    learner = peer_module(peer.module).learner(recipe, (1, 28, 28))
    before = learner.backward(episodes).item()
    for _ in range(5):
        learner.step(episodes)
    assert learner.backward(episodes).item() < before
