"""Building, moving and scoring an algorithm draw nothing from the global generator, change no bit, and stay within their memory."""

import dataclasses
import math
import os
from typing import Any

import pytest
import torch

from fsl_core.algorithms.algorithm import Model
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.algorithms.matching import MatchingNetworks
from fsl_core.algorithms.metric import squared_euclidean
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights, one_group
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.evaluation import score_episodes
from fsl_core.episodes.sampler import frozen_episodes
from fsl_core.errors import RecipeError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training import execution_path
from fsl_core.training.execution_path import ExecutionPath
from tests.fsl_core.algorithms.learners import AsTheyAre
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.splitmix import key_of, nth
from tests.fsl_core.watched_tensors import LargestTensor

CONTEXT = MatchingSettings(fce=True, reading_steps=2, support_order="by_class", scale=10.0, learn_scale=True)
KINDS: list[tuple[AlgorithmSettings, BackboneSettings]] = [
    (PrototypicalSettings(), Conv4Settings(filters=8)),
    (PrototypicalSettings(), MlpSettings(batch_norm="running")),
    (CONTEXT, Conv4Settings(filters=8)),
    (MamlSettings(), Conv4Settings(filters=8, downsampling="stride", batch_norm="batch")),
    (MamlSettings(), MlpSettings()),
]
kinds = pytest.mark.parametrize(("algorithm", "backbone"), KINDS, ids=lambda value: type(value).__name__)
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def recipe_of(algorithm: AlgorithmSettings, backbone: BackboneSettings) -> TrainingRecipe:
    shape = EpisodeShape(way=5, shot=1, query=5)
    steps = 1 if isinstance(algorithm, MamlSettings) else None
    validation = ValidationSettings(shape=shape, every=5, adaptation_steps=steps)
    return glyphs_recipe(algorithm=algorithm, backbone=backbone, validation=validation)


def built(algorithm: AlgorithmSettings, backbone: BackboneSettings) -> Weights:
    """The first weights and running statistics of such a recipe."""
    return first_of(recipe_of(algorithm, backbone))


def first_of(recipe: TrainingRecipe) -> Weights:
    algorithm = build_algorithm(recipe, image_shape=(1, 28, 28))
    return algorithm.initial_weights(Stream(recipe.seed, "select/weights")) | algorithm.initial_statistics()


@kinds
def test_building_an_algorithm_uses_no_global_generator(algorithm: AlgorithmSettings, backbone: BackboneSettings) -> None:
    before = torch.get_rng_state()
    built(algorithm, backbone)
    assert torch.get_rng_state().equal(before)


@kinds
def test_every_weight_and_statistic_follows_its_stream_or_starts_as_in_torch(
    algorithm: AlgorithmSettings, backbone: BackboneSettings
) -> None:
    """Each weight that is drawn is compared with plain integers, BatchNorm's begin at torch's 1 and 0."""
    ours = built(algorithm, backbone)
    places = {"backbone": "backbone", "network.0": "backbone", "network.1": "head", "context": "context"}
    for name, values in ours.items():
        place = next((place for place in places if name.startswith(f"{place}.")), None)
        if place is None:
            assert name == "log_scale"
            continue
        stream = f"select/weights/{places[place]}/{name.removeprefix(f'{place}.')}"
        torch.testing.assert_close(values, expected(name, values, stream), rtol=1e-6, atol=0, msg=name)


def expected(name: str, values: torch.Tensor, stream: str) -> torch.Tensor:
    """The first values of one tensor, float32."""
    if "context" not in name and values.dim() == 1:
        return torch.full_like(values, 1.0 if name.endswith(("weight", "running_var")) else 0.0)
    bound = 1 / math.sqrt(len(values) // 4 if "context" in name else values[0].numel())
    key = key_of(0, stream)
    drawn = [(nth(key, position) >> 11) / 2**53 * 2 * bound - bound for position in range(values.numel())]
    return torch.tensor(drawn, dtype=torch.float64).reshape(values.shape).float()


def test_an_added_layer_leaves_the_other_weights_unchanged() -> None:
    plain, context = built(MatchingSettings(), Conv4Settings(filters=8)), built(CONTEXT, Conv4Settings(filters=8))
    adapting = built(MamlSettings(), Conv4Settings(filters=8, batch_norm="batch"))
    first = plain["backbone.blocks.3.conv.weight"]
    assert context["backbone.blocks.3.conv.weight"].equal(first)
    assert adapting["network.0.blocks.3.conv.weight"].equal(first)


def test_seeds_that_differ_above_32_bits_give_other_weights() -> None:
    first = recipe_of(PrototypicalSettings(), Conv4Settings(filters=8))
    far = dataclasses.replace(first, seed=first.seed + 2**40)
    one, other = (first_of(recipe) for recipe in (first, far))
    assert not one["backbone.blocks.0.conv.weight"].equal(other["backbone.blocks.0.conv.weight"])


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_every_accepted_scale_can_be_learned_in_float32(scale: float) -> None:
    network = MatchingNetworks(AsTheyAre(1), MatchingSettings(scale=scale, learn_scale=True))
    log_scale = network.initial_weights(Stream(0, "weights"))["log_scale"]
    assert log_scale.dtype == torch.float32
    assert float(log_scale.exp()) == pytest.approx(scale, rel=1e-4)


def test_scoring_against_every_support_image_stays_within_its_memory(glyphs: SplitDataset) -> None:
    """Twenty episodes of 50 queries, 100 support images and 784 features are 78 million differences."""
    settings = MatchingSettings(distance="squared_euclidean")
    model = Model(algorithm=MatchingNetworks(AsTheyAre(784), settings), weights={}, statistics={})
    shape = EpisodeShape(way=10, shot=10, query=5)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 20, seed=0, stream="meta-test")
    with LargestTensor() as largest:
        counted = score_episodes(model, glyphs.meta_test, episodes, kernels=Kernels())
    assert largest.elements <= 25_000_000
    alone = [score_episodes(model, glyphs.meta_test, episode, kernels=Kernels()) for episode in episodes.parts(1)]
    assert counted.counts.equal(torch.cat([episode.counts for episode in alone], dim=1))


def test_squared_distances_in_parts_have_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(1, rows, 900, generator=generator) for rows in (71, 400))
    whole = squared_euclidean(left, right)
    with torch.no_grad(), LargestTensor() as largest:
        parts = squared_euclidean(left, right)
    assert largest.elements < 71 * 400 * 900
    assert parts.equal(whole)


@pytest.mark.parametrize("steps", [None, (), (1, 0), (1, 1), (-1, 2)])
def test_an_adapting_algorithm_is_scored_only_after_ascending_steps(glyphs: SplitDataset, steps: Any) -> None:
    recipe = recipe_of(MamlSettings(), MlpSettings())
    algorithm = build_algorithm(recipe, image_shape=(1, 28, 28))
    maml = Model(algorithm=algorithm, weights=one_group(first_of(recipe)), statistics={})
    shape = EpisodeShape(way=5, shot=1, query=1)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 2, seed=0, stream="meta-test")
    with pytest.raises(RecipeError) as caught:
        score_episodes(maml, glyphs.meta_test, episodes, kernels=Kernels(), adaptation_steps=steps)
    assert str(caught.value).startswith(f"adaptation_steps is {steps!r}; Maml needs ascending numbers of at least 0")


def test_an_object_that_is_not_an_algorithm_is_not_scored(glyphs: SplitDataset) -> None:
    shape = EpisodeShape(way=5, shot=1, query=1)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 2, seed=0, stream="meta-test")
    model = Model(algorithm=AsTheyAre(1), weights={}, statistics={})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="algorithm is a AsTheyAre; accepted: a MetricAlgorithm or an AdaptingAlgorithm"):
        score_episodes(model, glyphs.meta_test, episodes, kernels=Kernels())


@pytest.fixture
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, "to be put back")
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(execution_path, "cuda_is_here", lambda: True)


@pytest.mark.usefixtures("no_workspace")
@pytest.mark.parametrize(("device", "workspace"), [("cuda", ":16:8"), ("cpu", None)])
def test_on_cuda_cublas_gets_a_deterministic_workspace(device: str, workspace: str | None) -> None:
    with ExecutionPath(device=device).active():
        assert os.environ.get(WORKSPACE) == workspace


@pytest.mark.usefixtures("no_workspace")
def test_a_workspace_set_in_the_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":4096:8")
    with ExecutionPath(device="cuda").active():
        assert os.environ[WORKSPACE] == ":4096:8"
