"""The way from a recipe to a step: the step's settings, its gradient and its update written out, and what model selection watches."""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch
from torch import nn

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, Algorithm, MetaGradient, Model, query_labels
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights, one_group
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler, frozen_episodes, gather_episodes
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings, train_step
from fsl_core.training.trained_model import trained_model
from fsl_core.training.training import Validation
from tests.fsl_core.algorithms.learners import first_gradient
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.plain_loop.algorithm import Algorithm as PlainAlgorithm
from tests.fsl_core.plain_loop.catalogue import build_algorithm as build_plain
from tests.fsl_core.plain_loop.maml import Maml as PlainMaml
from tests.fsl_core.plain_loop.metric import MetricNetworks as PlainMetricNetworks

SHAPE = EpisodeShape(way=3, shot=2, query=4)
OUTER_LR = 0.01
MEAN = {"algorithm": MamlSettings(adaptation_steps=2)}
SUMMED = {"algorithm": MamlSettings(adaptation_steps=2, outer_reduction="sum_over_shot")}
PROTOTYPICAL = {"algorithm": PrototypicalSettings(), "backbone": Conv4Settings(filters=4)}


def recipe_of(**changes: Any) -> TrainingRecipe:
    """A MAML recipe, unless the changes name another algorithm."""
    adapts = isinstance(changes.get("algorithm", MamlSettings()), MamlSettings)
    settings: dict[str, Any] = {
        "algorithm": MamlSettings(),
        "episode": SHAPE,
        "backbone": Conv4Settings(filters=4, batch_norm="batch"),
        "validation": ValidationSettings(shape=SHAPE, every=5, episodes=10, adaptation_steps=1 if adapts else None),
        "optimiser": OptimiserSettings(outer_lr=OUTER_LR),
    }
    return glyphs_recipe(**{**settings, **changes})


STEPS_OF_RECIPES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (PROTOTYPICAL, {"meta_batch_size": 1, "loss_factor": 1.0}),
    ({**PROTOTYPICAL, "meta_batch_size": 2}, {"meta_batch_size": 2, "loss_factor": 1.0}),
    ({**MEAN, "meta_batch_size": 4}, {"meta_batch_size": 4, "loss_factor": 1.0}),
    (SUMMED, {"meta_batch_size": 1, "loss_factor": 6.0}),
    ({**SUMMED, "meta_batch_size": 32, "episode": EpisodeShape(way=3, shot=1, query=5)}, {"meta_batch_size": 32, "loss_factor": 15.0}),
]  # fmt: skip
"""What a recipe has, and what follows for its step beside the optimiser and the episodes at once."""


@pytest.mark.parametrize(("changes", "expected"), STEPS_OF_RECIPES)
@pytest.mark.parametrize(
    "optimiser",
    [
        OptimiserSettings(),
        OptimiserSettings(outer_lr=0.1, halve_every=None, clip_norm=2.0),
        OptimiserSettings(outer_lr=0.2, halve_every=7, clip_value=10.0),
    ],
)
def test_a_step_follows_the_recipe(changes: dict[str, Any], expected: dict[str, Any], optimiser: OptimiserSettings) -> None:
    kernels = Kernels(layout="channels_first")
    settings = StepSettings.of(recipe_of(**changes, optimiser=optimiser), episodes_at_once=3, kernels=kernels)
    wanted = {**expected, "optimiser": optimiser, "episodes_at_once": 3, "kernels": kernels, "gradient": None}
    assert {item.name: getattr(settings, item.name) for item in dataclasses.fields(settings)} == wanted


class _Exact(EpisodeSampler):
    """The sampler's episodes in float64."""

    def batch(self, step: int | torch.Tensor, count: int = 1) -> EpisodeBatch:
        return doubled(super().batch(step, count))


@dataclasses.dataclass(frozen=True)
class ExactAlgorithm:
    """An algorithm whose weights are float64, and the images that it scores."""

    of: Algorithm

    def initial_weights(self, stream: Stream) -> Weights:
        return {name: values.double() for name, values in self.of.initial_weights(stream).items()}

    def initial_statistics(self) -> Weights:
        return {name: values.double() for name, values in self.of.initial_statistics().items()}

    def meta_gradient(self, *given: Any, **named: Any) -> MetaGradient:
        return self.of.meta_gradient(*given, **named)

    def logits_after(self, weights: Weights, episodes: EpisodeBatch, *given: Any, **named: Any) -> torch.Tensor:
        return cast(AdaptingAlgorithm, self.of).logits_after(weights, doubled(episodes), *given, **named)


def doubled(episodes: EpisodeBatch) -> EpisodeBatch:
    return EpisodeBatch(support=episodes.support.double(), query=episodes.query.double())


def exact_algorithm(recipe: TrainingRecipe, dataset: SplitDataset) -> ExactAlgorithm:
    return ExactAlgorithm(build_algorithm(recipe, image_shape=dataset.meta_train.image_shape))


def exact(recipe: TrainingRecipe, dataset: SplitDataset) -> nn.Module:
    """The recipe's untrained network in float64, as the plain loop has it."""
    return build_plain(recipe, image_shape=dataset.meta_train.image_shape, stage="select").double()


def stepped(
    recipe: TrainingRecipe, dataset: SplitDataset, *, step: int = 0, episodes_at_once: int = 1
) -> tuple[TrainingState, EpisodeBatch]:
    """The state after one step of the recipe's untrained network, the step of number ``step``; and the episodes of that step."""
    sampler = _Exact(dataset.meta_train, recipe.episode, recipe.seed, "select/episodes")
    streams = [Stream(recipe.seed, "select/weights")]
    state = start_training(exact_algorithm(recipe, dataset), recipe.optimiser, streams=streams)
    state.step = step
    train_step(state, [sampler], StepSettings.of(recipe, episodes_at_once=episodes_at_once, kernels=Kernels()))
    return state, sampler.batch(step, recipe.meta_batch_size)


def losses_by_hand(algorithm: nn.Module, episodes: EpisodeBatch, divisor: int) -> list[torch.Tensor]:
    """For each episode by itself: the sum of the cross-entropies of its queries, one after another, over ``divisor``."""
    losses = []
    for episode in episodes.parts(1):
        log_probabilities = cast(PlainAlgorithm, algorithm).training_logits(episode)[0].log_softmax(dim=1)
        per_class = episode.shape.query
        losses.append(-sum(row[place // per_class] for place, row in enumerate(log_probabilities)) / divisor)
    return losses


def gradient_by_hand(algorithm: nn.Module, losses: Sequence[torch.Tensor]) -> Weights:
    """The gradient of the mean over the episodes."""
    mean, named = torch.stack(list(losses)).mean(), dict(algorithm.named_parameters())
    return dict(zip(named, torch.autograd.grad(mean, list(named.values()), retain_graph=True), strict=True))


def distance(state: TrainingState, gradients: Weights) -> float:
    """How far a step's gradient is from ``gradients``, as a share of each tensor's largest entry."""
    taught = first_gradient(state)
    assert taught.keys() == gradients.keys()
    return max(float((taught[name][0] - gradient).abs().max() / gradient.abs().max()) for name, gradient in gradients.items())


def updates(state: TrainingState, untrained: nn.Module) -> Weights:
    """What a step took away from each weight of the network before it."""
    after = state.named()
    return {name: before.detach() - after[name] for name, before in untrained.named_parameters()}


DIVISORS = [
    ({**PROTOTYPICAL, "meta_batch_size": 3}, 12),
    ({**MEAN, "meta_batch_size": 3}, 12),
    ({**SUMMED, "meta_batch_size": 3}, 2),
]
"""What the sum over an episode's queries is divided by: all ``way * query`` of them, or the shot."""


@pytest.mark.parametrize("episodes_at_once", [1, 2, 3])
@pytest.mark.parametrize(("changes", "divisor"), DIVISORS)
def test_the_gradient_of_a_step_is_that_of_the_recipe(
    changes: dict[str, Any], divisor: int, episodes_at_once: int, glyphs: SplitDataset
) -> None:
    """It is the mean over the whole meta-batch; that of any fewer episodes, or of another reduction, is far from it."""
    recipe = recipe_of(**changes)
    state, episodes = stepped(recipe, glyphs, episodes_at_once=episodes_at_once)
    untrained = exact(recipe, glyphs)
    losses = losses_by_hand(untrained, episodes, divisor)
    assert len(losses) == 3
    gradient = gradient_by_hand(untrained, losses)
    assert distance(state, gradient) < 1e-10
    assert distance(state, {name: 2 * part for name, part in gradient.items()}) > 0.1
    for absent in range(3):
        fewer = gradient_by_hand(untrained, losses[:absent] + losses[absent + 1 :])
        assert distance(state, fewer) > 0.1


@pytest.mark.parametrize("clip_value", [0.1, 1.0])
@pytest.mark.parametrize("meta_batch_size", [1, 3])
def test_the_first_update_equals_the_recipe_written_out(meta_batch_size: int, clip_value: float, glyphs: SplitDataset) -> None:
    """The gradient of the sum over the shot, each entry cut to the clip; Adam's first step is then ``lr * g / (|g| + 1e-8)``."""
    chosen = OptimiserSettings(outer_lr=OUTER_LR, clip_value=clip_value)
    recipe = recipe_of(**SUMMED, meta_batch_size=meta_batch_size, optimiser=chosen)
    state, episodes = stepped(recipe, glyphs)
    untrained = exact(recipe, glyphs)
    whole = gradient_by_hand(untrained, losses_by_hand(untrained, episodes, recipe.episode.shot))
    gradient = {name: part.clamp(-clip_value, clip_value) for name, part in whole.items()}
    cut = torch.cat([(part.abs() > clip_value).flatten() for part in whole.values()]).double().mean()
    assert 0.02 < cut < 0.98, "the clip must reach some of the entries and spare some"
    assert distance(state, gradient) < 1e-10
    for name, update in updates(state, untrained).items():
        part = gradient[name]
        torch.testing.assert_close(update, OUTER_LR * part / (part.abs() + 1e-8), rtol=0, atol=1e-7 * OUTER_LR)


@pytest.mark.parametrize(("step", "halvings"), [(0, 0), (3, 0), (4, 1), (11, 2)])
def test_a_step_learns_at_the_rate_of_its_number_and_from_the_episodes_of_its_number(
    step: int, halvings: int, glyphs: SplitDataset
) -> None:
    recipe = recipe_of(**PROTOTYPICAL, optimiser=OptimiserSettings(outer_lr=OUTER_LR, halve_every=4))
    state, episodes = stepped(recipe, glyphs, step=step)
    assert state.step == step + 1
    untrained = exact(recipe, glyphs)
    rate = OUTER_LR / 2**halvings
    gradient = gradient_by_hand(untrained, losses_by_hand(untrained, episodes, SHAPE.queries))
    for name, update in updates(state, untrained).items():
        part = gradient[name]
        torch.testing.assert_close(update, rate * part / (part.abs() + 1e-8), rtol=0, atol=1e-7 * rate)


@pytest.mark.parametrize("changes", [changes for changes, _ in DIVISORS])
def test_the_curves_have_the_mean_loss_and_accuracy_of_the_whole_meta_batch(
    changes: dict[str, Any], glyphs: SplitDataset
) -> None:
    """Whatever the reduction, so that curves can be compared."""
    recipe = recipe_of(**changes)
    state, episodes = stepped(recipe, glyphs, episodes_at_once=2)
    untrained = exact(recipe, glyphs)
    mean = sum(loss.item() for loss in losses_by_hand(untrained, episodes, recipe.episode.queries)) / len(episodes)
    assert float(state.interval_loss) == pytest.approx(mean, rel=1e-10)
    answers = cast(PlainAlgorithm, untrained).training_logits(episodes).argmax(dim=2)
    assert float(state.interval_accuracy) == pytest.approx(float((answers == query_labels(SHAPE)).double().mean()), rel=1e-10)


def validation_of(recipe: TrainingRecipe, dataset: SplitDataset) -> Validation:
    chosen = recipe.validation
    episodes = frozen_episodes(
        ClassPool(dataset.meta_validation.class_sizes), chosen.shape, chosen.episodes, seed=0, stream="validation"
    )
    return Validation(bank=dataset.meta_validation, episodes=episodes, settings=chosen)


def test_model_selection_watches_maml_after_the_adaptation_steps_of_validation(glyphs: SplitDataset) -> None:
    """Not after those of training, of which there are two; four steps lift even an untrained network well above none."""
    watched, losses, accuracies = {}, {}, {}
    for steps in (0, 2, 4):
        chosen = ValidationSettings(shape=SHAPE, every=5, episodes=10, adaptation_steps=steps)
        recipe = recipe_of(**MEAN, validation=chosen)
        untrained = exact(recipe, glyphs)
        assert isinstance(untrained, PlainMaml)
        validation = validation_of(recipe, glyphs)
        logits = untrained.logits_after(doubled(gather_episodes(validation.bank, validation.episodes)), (steps,))[0]
        accuracies[steps] = float((logits.argmax(dim=2) == query_labels(SHAPE)).double().mean())
        losses[steps] = loss_by_hand(logits)
        first = one_group({name: values.detach() for name, values in untrained.named_parameters()})
        watched[steps] = validation.score(Model(algorithm=exact_algorithm(recipe, glyphs), weights=first, statistics={}))
    assert {steps: score.accuracy for steps, score in watched.items()} == pytest.approx(accuracies, abs=1e-12)
    assert {steps: score.loss for steps, score in watched.items()} == pytest.approx(losses, rel=1e-10)
    assert losses[4] < losses[2] < losses[0]
    assert len(set(accuracies.values())) == 3
    assert accuracies[4] > accuracies[0] + 0.2


def loss_by_hand(logits: torch.Tensor) -> float:
    """The mean of ``log(sum(exp(z))) - z_y`` over the queries of all episodes, one after another, in float64."""
    losses = []
    for episode in logits.double():
        for place, row in enumerate(episode):
            losses.append(float(row.exp().sum().log() - row[place // SHAPE.query]))
    return sum(losses) / len(losses)


METRIC: dict[str, AlgorithmSettings] = {
    "prototypical": PrototypicalSettings(),
    "matching": MatchingSettings(scale=10.0),
    "full context": MatchingSettings(scale=10.0, fce=True, reading_steps=2, support_order="by_class"),
}


@pytest.mark.parametrize("name", METRIC)
def test_model_selection_scores_metric_algorithms_without_adaptation(name: str, glyphs: SplitDataset) -> None:
    """The share of right answers and the loss with the running statistics of BatchNorm, of which some were gathered."""
    recipe = recipe_of(**{**PROTOTYPICAL, "algorithm": METRIC[name]})
    plain = build_plain(recipe, image_shape=glyphs.meta_train.image_shape, stage="select")
    assert isinstance(plain, PlainMetricNetworks)
    validation = validation_of(recipe, glyphs)
    episodes = gather_episodes(validation.bank, validation.episodes)
    plain.training_logits(episodes)
    algorithm = build_algorithm(recipe, image_shape=glyphs.meta_train.image_shape)
    watched = validation.score(trained_model(algorithm, plain.state_dict(), "cpu"))
    with torch.no_grad():
        logits = plain.eval().training_logits(episodes)
    right = (logits.argmax(dim=2) == query_labels(SHAPE)).double()
    assert watched.accuracy == pytest.approx(float(right.mean()), abs=1e-12)
    assert 0.2 < watched.accuracy < 1
    assert watched.loss == pytest.approx(loss_by_hand(logits), rel=1e-4)  # in float32 each distance depends on its batch
