"""Building, moving and scoring an algorithm draw nothing from the global generator, change no bit, and stay within their memory."""

import dataclasses
import math
import os
from typing import Any

import pytest
import torch
from torch import nn

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.algorithms.matching import MatchingNetworks
from fsl_core.algorithms.metric import squared_euclidean
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.initialisation import check_initialised, uninitialised
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.evaluation import score_episodes
from fsl_core.episodes.sampler import frozen_episodes
from fsl_core.errors import RecipeError, UninitialisedError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from fsl_core.recipe.recipe import TrainingRecipe, ValidationSettings
from fsl_core.training import execution_path
from fsl_core.training.execution_path import ExecutionPath
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


def built(algorithm: AlgorithmSettings, backbone: BackboneSettings) -> nn.Module:
    return build_algorithm(recipe_of(algorithm, backbone), image_shape=(1, 28, 28), stage="select")


@kinds
def test_building_an_algorithm_draws_nothing_from_the_global_generator(
    algorithm: AlgorithmSettings, backbone: BackboneSettings
) -> None:
    before = torch.get_rng_state()
    built(algorithm, backbone)
    assert torch.get_rng_state().equal(before)


@kinds
def test_every_weight_and_buffer_is_what_its_stream_or_its_constructor_says(
    algorithm: AlgorithmSettings, backbone: BackboneSettings
) -> None:
    """None is left as the memory was found: each weight that is drawn is compared with plain integers, BatchNorm's with PyTorch's."""
    ours = built(algorithm, backbone)
    parts = {"backbone": "backbone", "network.0": "backbone", "network.1": "head", "context": "context"}
    for prefix, part in ours.named_modules():
        for own, value in part.state_dict().items() if not list(part.children()) else ():
            name = f"{prefix}.{own}".removeprefix(".")
            where = next((place for place in parts if name.startswith(f"{place}.")), None)
            if where is None:
                assert name == "log_scale"
                continue
            stream = f"select/weights/{parts[where]}/{name.removeprefix(f'{where}.')}"
            torch.testing.assert_close(value, expected(part, own, stream), rtol=1e-6, atol=0, msg=name)
    assert all(parameter.requires_grad for parameter in ours.parameters())


def expected(part: nn.Module, own: str, stream: str) -> torch.Tensor:
    """The first values of one tensor of a layer, float32."""
    value = part.state_dict()[own]
    if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
        return type(part)(part.num_features).state_dict()[own]
    if own == "bias":
        return torch.zeros_like(value)
    bound = 1 / math.sqrt(part.hidden_size if isinstance(part, nn.LSTM | nn.LSTMCell) else value[0].numel())
    key = key_of(0, stream)
    drawn = [(nth(key, position) >> 11) / 2**53 * 2 * bound - bound for position in range(value.numel())]
    return torch.tensor(drawn, dtype=torch.float64).reshape(value.shape).float()


def test_a_layer_that_is_added_leaves_the_weights_of_the_others() -> None:
    plain, context = built(MatchingSettings(), Conv4Settings(filters=8)), built(CONTEXT, Conv4Settings(filters=8))
    adapting = built(MamlSettings(), Conv4Settings(filters=8, batch_norm="batch"))
    first = plain.state_dict()["backbone.blocks.3.conv.weight"]
    assert context.state_dict()["backbone.blocks.3.conv.weight"].equal(first)
    assert adapting.state_dict()["network.0.blocks.3.conv.weight"].equal(first)


def test_seeds_that_differ_above_32_bits_give_other_weights() -> None:
    first = recipe_of(PrototypicalSettings(), Conv4Settings(filters=8))
    far = dataclasses.replace(first, seed=first.seed + 2**40)
    one, other = (build_algorithm(recipe, image_shape=(1, 28, 28), stage="select").state_dict() for recipe in (first, far))
    assert not one["backbone.blocks.0.conv.weight"].equal(other["backbone.blocks.0.conv.weight"])


class Forgetful(Conv4):
    """A backbone with a layer of a kind that is never initialised."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.blocks.append(uninitialised(nn.Conv1d, 1, 1, 1))


def test_a_layer_that_nothing_initialises_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsl_core.algorithms.catalogue.Conv4", Forgetful)
    refused = "nothing initialises backbone.blocks.4.weight, backbone.blocks.4.bias of PrototypicalNetworks"
    with pytest.raises(UninitialisedError, match=refused):
        built(PrototypicalSettings(), Conv4Settings(filters=8))


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.Linear])
def test_weights_and_buffers_that_nothing_initialises_are_named(kind: type[nn.Module]) -> None:
    sizes = (2,) if kind is nn.BatchNorm2d else (2, 3)
    layer = nn.Sequential(uninitialised(kind, *sizes))
    with pytest.raises(UninitialisedError) as caught:
        check_initialised(layer)
    assert all(name in str(caught.value) for name in layer.state_dict())


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_the_scales_that_are_accepted_can_be_learned_in_float32(scale: float) -> None:
    network = MatchingNetworks(
        nn.Identity(), MatchingSettings(scale=scale, learn_scale=True), features=1, stream=Stream(0, "weights")
    )
    assert float(network.scale.detach()) == pytest.approx(scale, rel=1e-4)


def test_scoring_against_every_support_image_stays_within_its_memory(glyphs: SplitDataset) -> None:
    """Twenty episodes of 50 queries, 100 support images and 784 features are 78 million differences."""
    settings = MatchingSettings(distance="squared_euclidean")
    network = MatchingNetworks(nn.Flatten(), settings, features=784, stream=Stream(0, "weights"))
    shape = EpisodeShape(way=10, shot=10, query=5)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 20, seed=0, stream="meta-test")
    with LargestTensor() as largest:
        counted = score_episodes(network, glyphs.meta_test, episodes)
    assert largest.elements <= 25_000_000
    alone = [score_episodes(network, glyphs.meta_test, episode) for episode in episodes.parts(1)]
    assert counted.counts.equal(torch.cat([episode.counts for episode in alone], dim=1))


def test_squared_distances_are_the_same_bits_a_part_at_a_time() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.rand(1, rows, 900, generator=generator) for rows in (71, 400))
    whole = squared_euclidean(left, right)
    with torch.no_grad(), LargestTensor() as largest:
        parts = squared_euclidean(left, right)
    assert largest.elements < 71 * 400 * 900
    assert parts.equal(whole)


@pytest.mark.parametrize("steps", [None, (), (1, 0), (1, 1), (-1, 2)])
def test_an_algorithm_that_adapts_is_scored_after_ascending_steps_alone(glyphs: SplitDataset, steps: Any) -> None:
    maml = built(MamlSettings(), MlpSettings()).train()
    shape = EpisodeShape(way=5, shot=1, query=1)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 2, seed=0, stream="meta-test")
    with pytest.raises(RecipeError) as caught:
        score_episodes(maml, glyphs.meta_test, episodes, adaptation_steps=steps)
    assert str(caught.value).startswith(f"adaptation_steps is {steps!r}; Maml needs ascending numbers of at least 0")
    assert maml.training


def test_what_is_no_algorithm_is_not_scored(glyphs: SplitDataset) -> None:
    shape = EpisodeShape(way=5, shot=1, query=1)
    episodes = frozen_episodes(ClassPool(glyphs.meta_test.class_sizes), shape, 2, seed=0, stream="meta-test")
    with pytest.raises(RecipeError, match="algorithm is a Flatten; accepted: a MetricAlgorithm or an AdaptingAlgorithm"):
        score_episodes(nn.Flatten(), glyphs.meta_test, episodes)


@pytest.fixture
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, "to be put back")
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(execution_path, "cuda_is_here", lambda: True)


@pytest.mark.usefixtures("no_workspace")
@pytest.mark.parametrize(("device", "workspace"), [("cuda", ":16:8"), ("cpu", None)])
def test_on_cuda_cublas_gets_the_workspace_that_makes_it_deterministic(device: str, workspace: str | None) -> None:
    with ExecutionPath(device=device).active():
        assert os.environ.get(WORKSPACE) == workspace


@pytest.mark.usefixtures("no_workspace")
def test_a_workspace_that_the_environment_names_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":4096:8")
    with ExecutionPath(device="cuda").active():
        assert os.environ[WORKSPACE] == ":4096:8"
