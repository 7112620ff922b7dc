"""Reptile against torch's own optimisers, one episode after another in float64, and how it shuffles an episode's support."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from fsl_core.algorithms.reptile import ReptileSettings, inner_batches
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import of_group
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import frozen_episodes
from fsl_core.errors import RecipeError, SettingError
from fsl_core.randomness import Stream, words
from fsl_core.recipe.backbone_settings import Conv4Settings
from tests.fsl_core.algorithms.episodes import loss_of
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.pairs import episodes_of
from tests.fsl_core.plain_loop.conv4 import Conv4 as PlainConv4
from tests.fsl_core.plain_loop.reptile import moved, trained

IMAGE, WAY, BACKBONE = (1, 18, 18), 3, Conv4Settings(filters=4, batch_norm="batch")
ADAM = ReptileSettings(adaptation_steps=4, inner_lr=0.01, inner_batch_size=4, evaluation_inner_batch_size=5)
SGD = dataclasses.replace(ADAM, inner_optimiser="sgd", inner_lr=0.1)
every_optimiser = pytest.mark.parametrize("settings", [ADAM, SGD], ids=["adam", "sgd"])


def sampled(count: int) -> EpisodeBatch:
    """Episodes of noise, with the words that a sampler gives them."""
    return dataclasses.replace(episodes_of(count), words=words(Stream(0, "episodes").key, (count,)))


def learner_of(settings: ReptileSettings, *, seed: int = 0) -> Learner:
    return Learner.of(settings.build(Conv4(IMAGE, BACKBONE), way=WAY), seed=seed)


def plain_of(learner: Learner) -> nn.Module:
    """Torch's modules with the weights of a learner."""
    backbone = PlainConv4(IMAGE, BACKBONE, stream=Stream(0, "unused"))
    network = nn.Sequential(backbone, nn.Linear(backbone.features, WAY)).double().train()
    weights = {name.removeprefix("network."): values for name, values in of_group(learner.weights, 0).items()}
    assert weights.keys() == dict(network.named_parameters()).keys()
    network.load_state_dict(weights, strict=False)
    return network


def plain_batches(episodes: EpisodeBatch, size: int, steps: int) -> Any:
    images = episodes.support.shape[1] * episodes.support.shape[2]
    return inner_batches(episodes.words, images=images, batch_size=size, steps=steps).tolist()


@every_optimiser
def test_no_step_leaves_the_weights_as_they_are(settings: ReptileSettings) -> None:
    """As for the untrained row of a table: ``adaptation_steps: 0``, in training or in an evaluation."""
    learner, episodes = learner_of(dataclasses.replace(settings, adaptation_steps=0)), sampled(2)
    taught = learner.algorithm.meta_gradient(learner.weights, episodes, loss_factor=1.0, kernels=Kernels())
    assert not any(gradient.any() for gradient in taught.gradient.values())
    answers = learner_of(settings).algorithm.logits_after(learner.weights, episodes, [0, 2], kernels=Kernels())  # type: ignore[attr-defined]
    assert answers.shape[0] == 2 and not answers[0].equal(answers[1])


@every_optimiser
def test_the_gradient_leads_to_where_the_loop_moves_the_weights(settings: ReptileSettings) -> None:
    """Descended by a rate of epsilon; the loss is that of the queries under the trained weights."""
    learner, episodes, epsilon = learner_of(settings), sampled(3), 0.7
    network, batches = plain_of(learner), plain_batches(episodes, settings.inner_batch_size, settings.adaptation_steps)
    adapted = [trained(network, settings, *each) for each in zip(episodes.support, batches, strict=True)]
    taught = learner.taught(episodes)
    for name, theirs in moved(network, adapted, epsilon).items():
        ours = (learner.weights[f"network.{name}"] - epsilon * taught.gradient[f"network.{name}"])[0]
        went = (theirs - network.state_dict()[name]).abs().max()
        assert went > 0
        assert (ours - theirs).abs().max() <= 1e-10 * went, name
    logits = torch.stack([own(query.flatten(0, 1)) for own, query in zip(adapted, episodes.query, strict=True)])
    torch.testing.assert_close(taught.loss[0], loss_of(logits, episodes).detach(), rtol=1e-10, atol=0)


@every_optimiser
def test_it_answers_after_training_on_the_batches_of_an_evaluation(settings: ReptileSettings) -> None:
    learner, episodes = learner_of(settings), sampled(2)
    network, batches = plain_of(learner), plain_batches(episodes, settings.evaluation_inner_batch_size, 3)
    scores = learner.algorithm.logits_after(learner.weights, episodes, (0, 1, 3), kernels=Kernels())
    for place, steps in enumerate((0, 1, 3)):
        for episode, own in enumerate(batches):
            adapted = trained(network, settings, episodes.support[episode], own[:steps])
            theirs = adapted(episodes.query[episode].flatten(0, 1)).detach()
            torch.testing.assert_close(scores[place, episode], theirs, rtol=1e-9, atol=1e-9)


def test_after_one_step_of_descent_it_is_joint_training() -> None:
    """Section 5 of the paper: with k = 1 the update is that of gradient descent on the mean loss of all tasks."""
    settings = dataclasses.replace(SGD, adaptation_steps=1, inner_batch_size=6)
    learner, episodes = learner_of(settings), sampled(3)
    network, labels = plain_of(learner), torch.arange(WAY).repeat_interleave(2)
    losses = [nn.functional.cross_entropy(network(images.flatten(0, 1)), labels) for images in episodes.support]
    named = dict(network.named_parameters())
    gradients = torch.autograd.grad(torch.stack(losses).mean(), list(named.values()))
    taught = learner.taught(episodes)
    for name, theirs in zip(named, gradients, strict=True):
        ours = taught.gradient[f"network.{name}"][0] / settings.inner_lr
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max(), name


def test_no_query_teaches() -> None:
    learner, episodes = learner_of(ADAM), sampled(2)
    other = dataclasses.replace(episodes, query=episodes.query.roll(1, dims=1))
    one, two = learner.taught(episodes), learner.taught(other)
    assert not torch.equal(one.loss, two.loss)
    assert all(torch.equal(values, two.gradient[name]) for name, values in one.gradient.items())


def test_seeds_that_train_together_are_each_alone() -> None:
    learners = [learner_of(ADAM, seed=seed) for seed in (0, 1)]
    episodes = sampled(4)
    both = {name: torch.cat([one.weights[name] for one in learners]) for name in learners[0].weights}
    together = Learner(learners[0].algorithm, both).taught(episodes)
    for seed, part in enumerate(episodes.parts(2)):
        alone = learners[seed].taught(part)
        torch.testing.assert_close(together.loss[seed], alone.loss[0], rtol=1e-10, atol=0)
        for name, values in alone.gradient.items():
            torch.testing.assert_close(together.gradient[name][seed], values[0], rtol=1e-8, atol=1e-12)


def test_an_inductive_answer_sees_no_other_query() -> None:
    learner, episodes = learner_of(ADAM), sampled(1)
    changed = dataclasses.replace(episodes, query=episodes.query.clone())
    changed.query[0, 2, 1] += 1.0
    for inductive in (True, False):
        one, other = (learner.adapted_logits(part, 2, inductive=inductive)[0, 0] for part in (episodes, changed))
        assert torch.equal(one, other) is inductive


def test_the_weights_that_it_is_asked_at_stay() -> None:
    learner, episodes = learner_of(ADAM), sampled(1)
    before = copy.deepcopy(learner.weights)
    learner.taught(episodes)
    learner.adapted_logits(episodes)
    assert all(torch.equal(values, before[name]) for name, values in learner.weights.items())


@pytest.mark.parametrize("batch_size", [1, 4, 7, 16])
def test_every_image_is_taken_once_before_one_is_taken_again(batch_size: int) -> None:
    """In the midst of a batch too, and a batch may hold more than all images."""
    own = words(Stream(0, "episodes").key, (5,))
    batches = inner_batches(own, images=6, batch_size=batch_size, steps=9)
    assert batches.shape == (5, 9, batch_size)
    whole = batches.flatten(1)
    passes = whole[:, : whole.shape[1] // 6 * 6].unflatten(1, (-1, 6))
    assert torch.equal(passes.sort(dim=2).values, torch.arange(6).expand_as(passes))
    assert len({tuple(order) for order in passes.flatten(0, 1).tolist()}) > 1


def test_the_order_is_a_function_of_the_episodes_word_alone() -> None:
    own = words(Stream(0, "episodes").key, (5,))
    whole = inner_batches(own, images=6, batch_size=4, steps=9)
    assert torch.equal(inner_batches(own[2:3], images=6, batch_size=4, steps=9), whole[2:3])
    assert torch.equal(inner_batches(own, images=6, batch_size=4, steps=2), whole[:, :2])
    assert not torch.equal(whole[0], whole[1])


def test_every_order_is_as_likely() -> None:
    """Of three images in 6,000 episodes: each of six orders 1,000 times, give or take five deviations of 29."""
    orders = inner_batches(words(Stream(1, "episodes").key, (6000,)), images=3, batch_size=3, steps=2)
    for step in range(2):
        counts = torch.unique(orders[:, step] @ torch.tensor([9, 3, 1]), return_counts=True)[1]
        assert len(counts) == 6
        assert (counts - 1000).abs().max() < 145


def test_sampled_episodes_have_words_of_their_own() -> None:
    """The same however many are sampled at once, and others in another stream."""
    pool, shape = ClassPool(torch.full((6,), 9)), EpisodeShape(way=3, shot=1, query=1)
    one, longer, other = (
        frozen_episodes(pool, shape, count, seed=0, stream=stream).words
        for count, stream in ((40, "meta-test"), (50, "meta-test"), (40, "meta-validation"))
    )
    assert torch.equal(one, longer[:40])
    assert len(set(one.tolist()) | set(other.tolist())) == 80


def test_episodes_without_words_are_refused() -> None:
    with pytest.raises(RecipeError, match="a sampler gives them"):
        learner_of(ADAM).taught(episodes_of(1))


@pytest.mark.parametrize(
    "wrong", [{"adaptation_steps": -1}, {"inner_lr": 0.0}, {"inner_optimiser": "rmsprop"}, {"inner_batch_size": 0},
              {"evaluation_inner_batch_size": 1.5}]
)  # fmt: skip
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as error:
        ReptileSettings(**wrong)
    assert error.value.setting == next(iter(wrong))
