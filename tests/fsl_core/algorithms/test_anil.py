"""ANIL against a float64 loop that passes the whole network at every step, against MAML's formula for the head, and its properties."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.algorithms.classifier import HEAD, HEAD_BIAS
from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.mlp import Mlp
from fsl_core.backbones.weights import Statistics, of_group, one_group
from fsl_core.errors import SettingError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from tests.fsl_core.algorithms.episodes import embedded_episodes, loss_of
from tests.fsl_core.algorithms.learners import AsTheyAre, Learner, assert_teaches
from tests.fsl_core.pairs import episodes_of
from tests.fsl_core.plain_loop.anil import Anil as PlainAnil
from tests.fsl_core.plain_loop.conv4 import Conv4 as PlainConv4
from tests.fsl_core.plain_loop.mlp import Mlp as PlainMlp

IMAGE, WAY = (1, 18, 18), 3
BACKBONES = [
    Conv4Settings(filters=4, batch_norm="batch"),
    Conv4Settings(filters=4, batch_norm="batch", downsampling="stride"),
    MlpSettings(batch_norm="batch"),
]
every_backbone = pytest.mark.parametrize("backbone", BACKBONES, ids=["max_pool", "stride", "mlp"])
FORMS = [
    {"order": order, "inner_reduction": reduction, "adaptation_steps": 3, "inner_lr": 0.2}
    for order, reduction in itertools.product((1, 2), ("mean", "sum_over_shot"))
]
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: f"order {form['order']}, {form['inner_reduction']}")


def backbone_of(settings: BackboneSettings) -> Any:
    return Conv4(IMAGE, settings) if isinstance(settings, Conv4Settings) else Mlp(IMAGE, settings)


def plain_of(settings: BackboneSettings, chosen: AnilSettings, stream: Stream) -> Any:
    kind: Any = PlainConv4 if isinstance(settings, Conv4Settings) else PlainMlp
    backbone = kind(IMAGE, settings, stream=stream.within("backbone"))
    return PlainAnil(backbone, chosen, features=backbone.features, way=WAY, stream=stream).double().train()  # type: ignore[arg-type]


def learner_of(settings: BackboneSettings, **form: Any) -> Learner:
    return Learner.of(AnilSettings(**form).build(backbone_of(settings), way=WAY))


@every_backbone
@every_form
def test_it_is_the_loop_that_adapts_the_last_layer_alone(form: dict[str, Any], backbone: BackboneSettings) -> None:
    chosen, stream, episodes = AnilSettings(**form), Stream(0, "weights"), episodes_of(3)
    learner, plain = learner_of(backbone, **form), plain_of(backbone, chosen, stream)
    leaves = dict(plain.named_parameters())
    for name, values in of_group(learner.weights, 0).items():
        assert torch.equal(leaves[name], values)
    logits = plain.training_logits(episodes)
    torch.testing.assert_close(learner.adapted_logits(episodes), logits.detach(), rtol=1e-10, atol=1e-10)
    assert_teaches(learner.taught(episodes), loss_of(logits, episodes), leaves)


class OfTheHead(Maml):
    """MAML whose adaptation changes the linear layer alone."""

    def adaptable(self, weights: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
        return (HEAD, HEAD_BIAS)


@every_form
@pytest.mark.parametrize("inductive", [True, False])
def test_it_is_maml_restricted_to_the_linear_layer(form: dict[str, Any], inductive: bool) -> None:
    learner, episodes = learner_of(BACKBONES[0], **form), episodes_of(3)
    maml = Learner(OfTheHead(backbone_of(BACKBONES[0]), MamlSettings(**form), way=WAY), learner.weights)
    ours, theirs = (one.taught(episodes, loss_factor=1.7) for one in (learner, maml))
    for name, values in theirs.gradient.items():
        assert (ours.gradient[name] - values).abs().max() <= 1e-10 * values.abs().max(), name
    torch.testing.assert_close((ours.loss, ours.accuracy), (theirs.loss, theirs.accuracy))
    for steps in (0, 2):
        answers = [one.adapted_logits(episodes, steps, inductive=inductive) for one in (learner, maml)]
        torch.testing.assert_close(*answers, rtol=1e-10, atol=1e-10)


def test_the_orders_differ_in_what_the_backbone_learns_from_the_support() -> None:
    """The agreement of one order with its reference is no agreement with that of the other."""
    first, second = (learner_of(BACKBONES[0], **form).taught(episodes_of(2)) for form in (FORMS[0], FORMS[2]))
    assert torch.equal(first.loss, second.loss)
    name = "network.0.blocks.0.conv.weight"
    assert (first.gradient[name] - second.gradient[name]).abs().max() > 1e-3 * second.gradient[name].abs().max()


@dataclasses.dataclass(frozen=True)
class Counted(AsTheyAre):
    """Notes how many images pass."""

    passed: list[int] = dataclasses.field(default_factory=list)

    def apply(
        self, weights: Mapping[str, torch.Tensor], images: Images, *, kernels: Kernels, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, Statistics]:
        self.passed.append(images.pixels.shape[1])
        return super().apply(weights, images, kernels=kernels, statistics=statistics)


@pytest.mark.parametrize("steps", [0, 1, 9])
def test_support_and_query_pass_the_backbone_once_whatever_the_number_of_steps(steps: int) -> None:
    backbone, episodes = Counted(7), embedded_episodes(WAY, 2, 4, 0)
    learner = Learner.of(AnilSettings(adaptation_steps=steps).build(backbone, way=WAY))
    learner.taught(episodes)
    assert backbone.passed == [6, 12]
    learner.algorithm.logits_after(learner.weights, episodes, range(steps + 1), kernels=Kernels())
    assert backbone.passed == [6, 12] * 2


def test_seeds_that_train_together_are_each_alone() -> None:
    """Of two seeds with two episodes each, to the bit of a batched product."""
    learners = [Learner.of(AnilSettings(**FORMS[2]).build(backbone_of(BACKBONES[0]), way=WAY), seed=seed) for seed in (0, 1)]
    episodes = episodes_of(4)
    both = {name: torch.cat([one.weights[name] for one in learners]) for name in learners[0].weights}
    together = Learner(learners[0].algorithm, both).taught(episodes)
    for seed, part in enumerate(episodes.parts(2)):
        alone = learners[seed].taught(part)
        torch.testing.assert_close(together.loss[seed], alone.loss[0], rtol=1e-12, atol=0)
        for name, values in alone.gradient.items():
            torch.testing.assert_close(together.gradient[name][seed], values[0], rtol=1e-10, atol=1e-13)


def test_an_inductive_answer_sees_no_other_query() -> None:
    learner, episodes = learner_of(BACKBONES[0], **FORMS[2]), episodes_of(1)
    changed = dataclasses.replace(episodes, query=episodes.query.clone())
    changed.query[0, 2, 1] += 1.0
    for inductive in (True, False):
        one, other = (learner.adapted_logits(part, 2, inductive=inductive)[0, 0] for part in (episodes, changed))
        assert torch.equal(one, other) is inductive


def test_its_first_weights_are_those_of_maml() -> None:
    backbone, stream = backbone_of(BACKBONES[0]), Stream(3, "weights")
    ours, theirs = (
        one_group(algorithm.initial_weights(stream))
        for algorithm in (AnilSettings().build(backbone, way=WAY), Maml(backbone, MamlSettings(), way=WAY))
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(values, theirs[name]) for name, values in ours.items())


@pytest.mark.parametrize("wrong", [{"order": 3}, {"adaptation_steps": -1}, {"inner_lr": 0.0}, {"inner_reduction": "sum"}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as error:
        AnilSettings(**wrong)
    assert error.value.setting == next(iter(wrong))
