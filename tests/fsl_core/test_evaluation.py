"""Scoring in several chunks counts what scoring at once counts: what each episode, taken by itself and image by image, would give.

The losses are those of the same answers, each query's by itself.
"""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from fsl_core.algorithms.algorithm import Algorithm, Model, class_labels, query_labels
from fsl_core.algorithms.maml import Maml
from fsl_core.algorithms.matching import MatchingNetworks
from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import LayerStatistics, Statistics, Weights, one_group
from fsl_core.datasets.image_bank import ROTATIONS, ImageBank
from fsl_core.episodes import evaluation
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.evaluation import Scored, score_episodes
from fsl_core.episodes.sampler import EpisodeIndices, frozen_episodes
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from tests.fsl_core.algorithms.test_matching import FEATURES, reference_context, reference_probabilities
from tests.fsl_core.plain_loop.initialisation import initialise
from tests.fsl_core.plain_loop.maml import Maml as PlainMaml
from tests.fsl_core.plain_loop.matching import MatchingNetworks as PlainMatching
from tests.fsl_core.plain_loop.metric import MetricNetworks as PlainMetric
from tests.fsl_core.plain_loop.prototypical import PrototypicalNetworks as PlainPrototypical

SHAPE = EpisodeShape(way=3, shot=2, query=3)
EPISODES = 7
SIDE = 6
STEPS = (0, 1, 3)
METRIC_FORMS: dict[str, AlgorithmSettings] = {
    "prototypical": PrototypicalSettings(),
    "matching": MatchingSettings(scale=5.0),
    "matching full context": MatchingSettings(scale=5.0, fce=True, reading_steps=2, support_order="by_class"),
}
FORMS = {**METRIC_FORMS, "maml": MamlSettings(inner_lr=0.5)}
COSTS = {
    "_SCORES_AT_ONCE": SHAPE.queries * SHAPE.way,
    "_DIFFERENCES_AT_ONCE": SHAPE.queries * SHAPE.way * FEATURES,
    "_PIXELS_AT_ONCE_ON_CPU": SHAPE.way * SHAPE.images_per_class * SIDE**2,
}
"""What one episode adds to that which each constant bounds."""
BOUNDS = [(form, bound) for form in METRIC_FORMS for bound in ("_SCORES_AT_ONCE", "_DIFFERENCES_AT_ONCE")]
BOUNDS.append(("maml", "_PIXELS_AT_ONCE_ON_CPU"))


class SmallBackbone(nn.Module):
    """Linear, BatchNorm, tanh in float64, so that no decision hangs on how a chunk is rounded."""

    def __init__(self, *, running: bool, stream: Stream) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(FEATURES, track_running_stats=running)
        self.layers = nn.Sequential(nn.Linear(SIDE**2, FEATURES, bias=False), norm, nn.Tanh()).double()
        initialise(self, stream=stream)
        self(torch.rand(40, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(2)))  # so that the running statistics are some

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.layers(images.double().flatten(1))
        return embedded


@dataclasses.dataclass(frozen=True)
class SameBackbone:
    """The same as a pure function of its weights."""

    features = FEATURES
    norms = {"layers.1": FEATURES}  # noqa: RUF012

    def initial_weights(self, stream: Stream) -> Weights:
        raise AssertionError("scoring initialises nothing")

    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        raise AssertionError("scoring initialises nothing")

    def apply(
        self, weights: Weights, images: Images, *, kernels: Kernels, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, Statistics]:
        summed = images.pixels.double().flatten(2) @ weights["layers.0.weight"].transpose(1, 2)
        own = LayerStatistics(summed.mean(1), summed.var(1, correction=0), summed.shape[1])
        used = own if statistics is None else statistics["layers.1"]
        normalised = (summed - used.mean.unsqueeze(1)) / (used.variance + 1e-5).sqrt().unsqueeze(1)
        scale, shift = weights["layers.1.weight"].unsqueeze(1), weights["layers.1.bias"].unsqueeze(1)
        return torch.tanh(normalised * scale + shift), {"layers.1": used}


def plain_of(form: str) -> PlainMetric | PlainMaml:
    """The module of the plain loop, with its weights."""
    settings, stream = FORMS[form], Stream(2, "weights")
    backbone = SmallBackbone(running=not isinstance(settings, MamlSettings), stream=stream)
    if isinstance(settings, MamlSettings):
        return PlainMaml(backbone, settings, features=FEATURES, way=SHAPE.way, stream=stream).double()
    if isinstance(settings, MatchingSettings):
        return PlainMatching(backbone, settings, features=FEATURES, stream=stream).double()
    return PlainPrototypical(backbone, settings)


def algorithm_of(form: str) -> Algorithm:
    settings = FORMS[form]
    if isinstance(settings, MamlSettings):
        return Maml(SameBackbone(), settings, way=SHAPE.way)
    if isinstance(settings, MatchingSettings):
        return MatchingNetworks(SameBackbone(), settings)
    return PrototypicalNetworks(SameBackbone(), settings)


def model_of(form: str) -> Model:
    """The algorithm with the weights and the running statistics of :func:`plain_of`."""
    plain = plain_of(form)
    weights = one_group({name: values.detach().clone() for name, values in plain.named_parameters()})
    running = {name: values for name, values in plain.named_buffers() if ".running_" in name}
    return Model(algorithm=algorithm_of(form), weights=weights, statistics=one_group(running))


@functools.cache
def a_bank() -> ImageBank:
    """Five base classes of unequal sizes: noise about a pattern each, weak enough that some queries go wrong."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor([5, 9, 6, 5, 7])
    patterns = torch.rand(len(sizes), 1, SIDE, SIDE, generator=generator).repeat_interleave(sizes, dim=0)
    noise = torch.rand(patterns.shape, generator=generator)
    images = ((0.3 * patterns + 0.7 * noise) * 255).to(torch.uint8)
    names = tuple(f"class {number}" for number in range(len(sizes)))
    return ImageBank(images, sizes.cumsum(0) - sizes, sizes, names, rotations=True)


@functools.cache
def drawn() -> EpisodeIndices:
    return frozen_episodes(ClassPool(a_bank().class_sizes), SHAPE, EPISODES, seed=0, stream="meta-test")


def scored(model: Model) -> Scored:
    """After 0, 1 and 3 steps where the algorithm adapts."""
    steps = STEPS if isinstance(model.algorithm, Maml) else None
    return score_episodes(model, a_bank(), drawn(), kernels=Kernels(), adaptation_steps=steps)


def counts(model: Model) -> torch.Tensor:
    """``[S, E]``."""
    return scored(model).counts


def images_of(classes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The images of one episode's support or query, found one by one: ``[way, images, 1, SIDE, SIDE]``."""
    bank, rows = a_bank(), []
    for index, row in zip(classes.tolist(), numbers.tolist(), strict=True):
        base, turn = divmod(index, ROTATIONS)
        rows.append([bank.images[int(bank.starts[base]) + number].rot90(turn, (1, 2)) / 255 for number in row])
    return torch.stack([torch.stack(row) for row in rows])


def right(logits: torch.Tensor) -> list[bool]:
    answers: list[bool] = (logits.argmax(dim=1) == query_labels(SHAPE)).tolist()
    return answers


def loss_of(logits: torch.Tensor) -> float:
    """The sum of ``-log(exp(z_y) / sum(exp(z)))`` over the queries, one after another."""
    loss = 0.0
    for place, row in enumerate(logits.tolist()):
        exponentials = [math.exp(value) for value in row]
        loss -= math.log(exponentials[place // SHAPE.query] / sum(exponentials))
    return loss


@torch.no_grad()
def compared_alone(algorithm: PlainMetric, support: torch.Tensor, query: torch.Tensor) -> list[torch.Tensor]:
    """The logits by the papers' formulas on embeddings of one image at a time."""
    shown, asked = (torch.cat([algorithm.embed(image[None]) for image in part.flatten(0, 1)]) for part in (support, query))
    if isinstance(algorithm, PlainMatching):
        settings = algorithm.settings
        if algorithm.context is not None and settings.reading_steps is not None:
            shown, asked = reference_context(dict(algorithm.context.named_parameters()), shown, asked, settings.reading_steps)
        by_class = shown.reshape(SHAPE.way, SHAPE.shot, FEATURES)
        return [reference_probabilities(by_class, asked, settings.distance, settings.scale).log()]
    prototypes = [shown[start : start + SHAPE.shot].mean(0) for start in range(0, len(shown), SHAPE.shot)]
    return [torch.stack([torch.stack([-(x - prototype).square().sum() for prototype in prototypes]) for x in asked])]


def adapted_alone(algorithm: PlainMaml, support: torch.Tensor, query: torch.Tensor) -> list[torch.Tensor]:
    """The logits after plain gradient descent on a copy of the network."""
    network = copy.deepcopy(algorithm.network)
    optimiser = torch.optim.SGD(network.parameters(), lr=algorithm.settings.inner_lr)
    answers = []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            answers.append(network(query.flatten(0, 1)).detach())
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(support.flatten(0, 1)), class_labels(SHAPE.way, SHAPE.shot))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return answers


@functools.cache
def all_logits(form: str) -> list[list[torch.Tensor]]:
    """The logits ``[S][E]``, each ``[way * query, way]``, of one episode after another."""
    algorithm = plain_of(form).eval()
    columns = []
    for classes, support, query in zip(drawn().classes, drawn().support, drawn().query, strict=True):
        episode = images_of(classes, support), images_of(classes, query)
        columns.append(
            adapted_alone(algorithm, *episode) if isinstance(algorithm, PlainMaml) else compared_alone(algorithm, *episode)
        )
    return [list(row) for row in zip(*columns, strict=True)]


def expected(form: str) -> list[list[int]]:
    """The counts ``[S][E]``."""
    return [[sum(right(logits)) for logits in row] for row in all_logits(form)]


def expected_answers(form: str) -> list[list[bool]]:
    """Which queries of each episode are right after the last step."""
    return [right(logits) for logits in all_logits(form)[-1]]


def assert_expected_losses(losses: torch.Tensor, form: str) -> None:
    assert losses.dtype == torch.float64
    wanted = torch.tensor([[loss_of(logits) for logits in row] for row in all_logits(form)], dtype=torch.float64)
    torch.testing.assert_close(losses, wanted, rtol=1e-10, atol=0)


Watch = Callable[[Model, str], list[int]]
SEEN = {"embed": 2, "logits": 1, "logits_after": 1}
"""Which argument of each method are the images or episodes that it sees at once."""


@pytest.fixture
def sizes_seen(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Notes the length of what every call of a method of an algorithm sees at once."""

    def watch(model: Model, method: str) -> list[int]:
        sizes: list[int] = []
        honest = getattr(model.algorithm, method)

        def noting(*given, **named):  # type: ignore[no-untyped-def]
            sizes.append(len(given[SEEN[method]]))
            return honest(*given, **named)

        monkeypatch.setattr(model.algorithm, method, noting)
        return sizes

    return watch


@pytest.mark.parametrize("form", FORMS)
def test_the_counts_are_those_of_each_episode_by_itself(form: str) -> None:
    counted = counts(model_of(form))
    assert counted.dtype == torch.int64
    assert counted.tolist() == expected(form)
    assert all(len(set(row)) > 1 for row in expected(form)), "equal counts would not notice episodes that change places"


@pytest.mark.parametrize("at_once", [1, 3, 7])
@pytest.mark.parametrize(("form", "bound"), BOUNDS)
def test_the_right_answers_are_those_of_each_query_by_itself(
    form: str, bound: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, bound, at_once * COSTS[bound])
    right = scored(model_of(form)).right
    assert right.dtype == torch.bool
    assert right.tolist() == expected_answers(form)
    assert len(set(map(tuple, right.tolist()))) > 1, "equal answers would not notice episodes that change places"


@pytest.mark.parametrize("form", FORMS)
def test_the_losses_are_those_of_each_query_by_itself(form: str) -> None:
    """In nats, summed over an episode's queries: after each number of steps where the algorithm adapts."""
    losses = scored(model_of(form)).loss
    assert_expected_losses(losses, form)
    with pytest.raises(AssertionError):
        assert_expected_losses(losses.roll(1, dims=1), form)


@pytest.mark.parametrize("inductive", [True, False])
def test_only_inductive_scores_are_the_same_for_queries_one_at_a_time(inductive: bool) -> None:
    score = functools.partial(
        score_episodes, model_of("maml"), a_bank(), kernels=Kernels(), adaptation_steps=STEPS, inductive=inductive
    )
    episodes = drawn()
    together = score(episodes).counts
    alone = torch.zeros_like(together)
    for number in range(SHAPE.query):
        part = dataclasses.replace(episodes, query=episodes.query[..., number : number + 1])
        alone += score(part).counts
    assert together.equal(alone) is inductive


def test_each_adaptation_step_has_its_own_counts() -> None:
    """So that the test above notices steps that change places."""
    first, *_, last = expected("maml")
    assert sum(last) > sum(first) and len(set(map(tuple, expected("maml")))) == len(STEPS)


@pytest.mark.parametrize(("at_once", "sizes"), [(0.5, [1] * 7), (1, [1] * 7), (3, [3, 3, 1]), (6.9, [6, 1]), (7, [7])])
@pytest.mark.parametrize(("form", "bound"), BOUNDS)
def test_scoring_in_chunks_gives_the_same_counts_and_losses(
    form: str,
    bound: str,
    at_once: float,
    sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    sizes_seen: Watch,
) -> None:
    """A bound that has room for ``at_once`` episodes cuts the seven into chunks of ``sizes``: one at least, as many as fit."""
    monkeypatch.setattr(evaluation, bound, int(at_once * COSTS[bound]))
    model = model_of(form)
    seen = sizes_seen(model, "logits_after" if isinstance(model.algorithm, Maml) else "logits")
    scores = scored(model)
    assert scores.counts.tolist() == expected(form)
    assert_expected_losses(scores.loss, form)
    assert seen == sizes


@pytest.mark.parametrize("form", FORMS)
def test_default_bounds_score_in_one_chunk(form: str, sizes_seen: Watch) -> None:
    model = model_of(form)
    seen = sizes_seen(model, "logits_after" if isinstance(model.algorithm, Maml) else "logits")
    counts(model)
    assert seen == [EPISODES]


@pytest.mark.parametrize("at_once", [1, 8])
@pytest.mark.parametrize("form", METRIC_FORMS)
def test_each_distinct_image_is_embedded_once_and_in_chunks(
    form: str, at_once: int, monkeypatch: pytest.MonkeyPatch, sizes_seen: Watch
) -> None:
    monkeypatch.setattr(evaluation, "_EMBEDDED_AT_ONCE", at_once * SIDE**2)
    model = model_of(form)
    seen = sizes_seen(model, "embed")
    assert counts(model).tolist() == expected(form)
    named = torch.cat([drawn().support, drawn().query], dim=2)
    pairs = torch.stack([drawn().classes.unsqueeze(2).expand_as(named), named], dim=3).flatten(0, 2)
    distinct = len(set(map(tuple, pairs.tolist())))
    assert distinct < len(pairs)
    assert sum(seen) == distinct
    assert set(seen[:-1]) == {at_once} and 1 <= seen[-1] <= at_once


@pytest.mark.parametrize("form", FORMS)
def test_scoring_changes_nothing(form: str) -> None:
    """Not in the weights or the running statistics."""
    model = model_of(form)
    before = copy.deepcopy(model.weights | model.statistics)
    assert counts(model).tolist() == expected(form)
    assert all(torch.equal(value, before[name]) for name, value in (model.weights | model.statistics).items())


@pytest.mark.parametrize("form", FORMS)
def test_answers_that_are_no_numbers_are_wrong(form: str) -> None:
    model = model_of(form)
    lost = dataclasses.replace(model, weights={name: values * math.nan for name, values in model.weights.items()})
    assert scored(lost).counts.sum() == 0
    assert not scored(lost).right.any()
