"""Prototypical Networks against references written here in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.algorithms.algorithm import MetricAlgorithm
from fsl_core.algorithms.metric import squared_euclidean
from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import part
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from tests.fsl_core.algorithms.episodes import assert_gradients_agree, embedded_episodes, image_episodes, loss_of
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner

SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4))
DISTANCES = st.sampled_from(["squared_euclidean", "cosine"])


def reference_logits(episodes: EpisodeBatch, distance: str, scale: float) -> torch.Tensor:
    """Equations 1 and 2 of the paper, one query and one class at a time."""
    rows = []
    for support, query in zip(episodes.support, episodes.query, strict=True):
        for x in query.reshape(-1, query.shape[-1]):
            for images in support:
                prototype = sum(images) / len(images)
                if distance == "cosine":
                    rows.append(scale * (x @ prototype) / (x.norm() * prototype.norm()))
                else:
                    rows.append(-scale * ((x - prototype) ** 2).sum())
    return torch.stack(rows).reshape(len(episodes), -1, episodes.shape.way)


def network(distance: str, scale: float) -> Learner:
    return Learner.of(PrototypicalNetworks(AsTheyAre(7), PrototypicalSettings(distance=distance, scale=scale)))  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(SHAPES, DISTANCES, st.floats(0.1, 20), st.integers(0, 2**31))
def test_logits_loss_and_gradients_agree_with_the_paper(
    shape: tuple[int, int, int], distance: str, scale: float, seed: int
) -> None:
    episodes = embedded_episodes(*shape, seed)
    leaves = [episodes.support.requires_grad_(), episodes.query.requires_grad_()]
    ours, theirs = network(distance, scale).embedded_logits(episodes), reference_logits(episodes, distance, scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert_gradients_agree(loss_of(ours, episodes), loss_of(theirs, episodes), leaves)


def test_the_distance_is_squared() -> None:
    left, right = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[3.0, 4.0]]])
    assert squared_euclidean(left, right).item() == 25.0


def test_small_squared_distances_survive_float32() -> None:
    base = torch.full((1, 1, 64), 100.0)
    assert squared_euclidean(base, base + 1e-3).item() == pytest.approx(64e-6, rel=0.05)


@given(SHAPES, DISTANCES, st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_support_does_not_matter(shape: tuple[int, int, int], distance: str, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed)
    turned = EpisodeBatch(support=episodes.support.flip(2), query=episodes.query)
    torch.testing.assert_close(network(distance, 1.0).embedded_logits(turned), network(distance, 1.0).embedded_logits(episodes))


@given(SHAPES, DISTANCES, st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_permuting_the_classes_permutes_the_scores(shape: tuple[int, int, int], distance: str, seed: int) -> None:
    episodes = embedded_episodes(*shape, seed)
    order = torch.randperm(shape[0], generator=torch.Generator().manual_seed(seed))
    permuted = network(distance, 1.0).embedded_logits(EpisodeBatch(support=episodes.support[:, order], query=episodes.query))
    torch.testing.assert_close(permuted, network(distance, 1.0).embedded_logits(episodes)[..., order])


def test_a_query_that_is_a_prototype_is_classified_rightly() -> None:
    support = torch.eye(5, 7, dtype=torch.float64).reshape(1, 5, 1, 7)
    logits = network("squared_euclidean", 1.0).embedded_logits(EpisodeBatch(support=support, query=support))
    assert logits.argmax(dim=2).tolist() == [[0, 1, 2, 3, 4]]


def test_scoring_a_zero_embedding_by_cosine_stays_finite() -> None:
    zeros = torch.zeros(1, 2, 1, 7, requires_grad=True)
    logits = network("cosine", 10.0).embedded_logits(EpisodeBatch(support=zeros, query=zeros))
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    assert zeros.grad is not None
    assert torch.isfinite(zeros.grad).all()


def conv_network() -> Learner:
    backbone = Conv4((1, 28, 28), Conv4Settings(filters=8))
    return Learner.of(PrototypicalNetworks(backbone, PrototypicalSettings()), dtype=torch.float32)


def losses(learner: Learner, episodes: EpisodeBatch) -> torch.Tensor:
    """The loss of each episode where a backbone is trained on them."""
    loss: torch.Tensor = learner.algorithm.episode_loss(learner.weights, episodes, Kernels())[0]
    return loss


def test_episodes_of_one_batch_do_not_see_each_other() -> None:
    """Their BatchNorm statistics are apart: an episode has the same loss alone and in company."""
    batch = image_episodes(3, 2, 4, episodes=3)
    together, alone = losses(conv_network(), batch), [losses(conv_network(), part) for part in batch.parts(1)]
    torch.testing.assert_close(together, torch.cat(alone))
    torch.testing.assert_close(conv_network().taught(batch).loss, together.mean()[None])


def test_support_and_query_share_their_batch_statistics_in_training() -> None:
    batch = image_episodes(3, 2, 4, episodes=1)
    learner = conv_network()
    every = torch.cat([batch.support.flatten(0, 2), batch.query.flatten(0, 2)])
    embedded, _ = learner.algorithm.backbone.apply(part(learner.weights, "backbone."), Images(every[None]), kernels=Kernels())
    support, query = embedded[0, :6].reshape(1, 3, 2, -1), embedded[0, 6:].reshape(1, 3, 4, -1)
    expected = loss_of(learner.embedded_logits(EpisodeBatch(support=support, query=query)), batch)
    torch.testing.assert_close(losses(learner, batch), expected[None])


def test_every_parameter_gets_a_gradient() -> None:
    learner = conv_network()
    gradient = learner.taught(image_episodes(3, 2, 4)).gradient
    assert gradient.keys() == learner.weights.keys()
    assert not [name for name, values in gradient.items() if not values.abs().max() > 0]


def test_prototypical_networks_implement_the_algorithm_interface() -> None:
    assert isinstance(conv_network().algorithm, MetricAlgorithm)
