"""ResNet-12 is the textbook's network, however it is computed, for metric algorithms and for MAML of both orders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from fsl_core.algorithms.maml import Maml
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.resnet12 import Growth, ResNet12Settings
from fsl_core.backbones.running_statistics import as_layer_statistics, initial_running_statistics, update_running_statistics
from fsl_core.backbones.weights import Statistics, Weights, one_group
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.errors import SettingError
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.recipe import Evaluation, OptimiserSettings, ValidationSettings
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.algorithms.learners import Learner, assert_teaches
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.forms import EVERY_KERNELS
from tests.fsl_core.pairs import SHAPE, episodes_of
from tests.fsl_core.plain_loop.maml import Maml as PlainMaml
from tests.fsl_core.plain_loop.resnet12 import ResNet12 as PlainResNet12

TINY = ResNet12Settings(filters=2, growth="doubling")
IMAGE = (1, 18, 18)
STREAM = Stream(3, "weights")
ONE_BY_ONE = ExecutionPath(device="cpu", threads=1, episodes_at_once=1, captured=False)
GATE_POINTS = 10


def plain_network(settings: ResNet12Settings, image_shape: tuple[int, int, int] = IMAGE) -> PlainResNet12:
    """In float64, with scales and shifts of BatchNorm that are not where they begin."""
    network = PlainResNet12(image_shape, settings, stream=STREAM).double()
    generator = torch.Generator().manual_seed(5)
    for name, value in network.named_parameters():
        if "norm" in name:
            value.data += torch.randn(value.shape, generator=generator, dtype=torch.float64) / 2
    return network


def weights_of(*networks: PlainResNet12) -> Weights:
    """A group of weights for each network."""
    named = [dict(network.named_parameters()) for network in networks]
    return {name: torch.stack([each[name].detach() for each in named]) for name in named[0]}


def images_of(groups: int) -> torch.Tensor:
    return torch.rand(groups, 5, *IMAGE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def embedded(
    settings: ResNet12Settings, weights: Weights, images: torch.Tensor, kernels: Kernels, given: Statistics | None = None
) -> tuple[torch.Tensor, Statistics]:
    laid_out = {name: kernels.lay_out(value) for name, value in weights.items()}
    return settings.build(IMAGE).apply(laid_out, Images(images), kernels=kernels, statistics=given)


def test_its_first_weights_are_those_of_the_reference_module() -> None:
    own = TINY.build(IMAGE).initial_weights(STREAM)
    plain = dict(PlainResNet12(IMAGE, TINY, stream=STREAM).named_parameters())
    assert own.keys() == plain.keys()
    for name, value in own.items():
        torch.testing.assert_close(value, plain[name].detach(), rtol=0, atol=0)


def test_kernels_have_the_variance_of_the_fan_out() -> None:
    weights = ResNet12Settings(filters=16).build((3, 32, 32)).initial_weights(STREAM)
    for name, fan_out in (("blocks.3.2", 160 * 9), ("blocks.3.shortcut", 160)):
        assert float(weights[f"{name}.conv.weight"].var()) == pytest.approx(2 / fan_out, rel=0.05)


@pytest.mark.parametrize(
    "settings",
    [
        TINY,
        ResNet12Settings(filters=2),
        ResNet12Settings(filters=2, batch_norm_scale=False, batch_norm_epsilon=1e-3),
    ],
    ids=["doubling", "wide", "shift alone"],
)
@pytest.mark.parametrize("groups", [1, 3])
def test_embeddings_and_gradients_are_those_of_the_reference_module(groups: int, settings: ResNet12Settings) -> None:
    networks = [plain_network(settings) for _ in range(groups)]
    for number, network in enumerate(networks):
        network.blocks[1][0].conv.weight.data *= 1 + number  # type: ignore[index, union-attr]
        network.blocks[1][0].norm.bias.data += number  # type: ignore[index, union-attr]
    images = images_of(groups)
    theirs = torch.stack([network.train()(own) for network, own in zip(networks, images, strict=True)])
    by = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (theirs * by).sum().backward()  # type: ignore[no-untyped-call]
    for kernels in EVERY_KERNELS:
        leaves = {name: value.requires_grad_() for name, value in weights_of(*networks).items()}
        ours, _ = embedded(settings, leaves, images, kernels)
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-10, atol=1e-10)
        gradients = torch.autograd.grad((ours * by).sum(), list(leaves.values()))
        for name, gradient in zip(leaves, gradients, strict=True):
            plain = torch.stack([dict(network.named_parameters())[name].grad for network in networks])  # type: ignore[misc]
            torch.testing.assert_close(gradient, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kernels", EVERY_KERNELS[::3], ids=str)
def test_running_statistics_are_those_of_torch_and_normalise_as_torch_does(kernels: Kernels) -> None:
    network, images = plain_network(TINY).train(), images_of(1)
    running = one_group({name: value.double() for name, value in initial_running_statistics(TINY.build(IMAGE).norms).items()})
    weights = weights_of(network)
    for batch in (images, images[:, :3]):
        _, used = embedded(TINY, weights, batch, kernels)
        update_running_statistics(running, used)
        network(batch[0])
    buffers = {name: value for name, value in network.named_buffers() if not name.endswith("tracked")}
    assert running.keys() == buffers.keys() and len(running) == 2 * 16
    for name, value in running.items():
        torch.testing.assert_close(value[0], buffers[name])
    ours, _ = embedded(TINY, weights, images, kernels, as_layer_statistics(running))
    torch.testing.assert_close(ours[0], network.eval()(images[0]))
    assert not torch.allclose(ours, embedded(TINY, weights, images, kernels)[0])


def test_first_and_second_derivatives_are_those_of_finite_differences() -> None:
    settings = ResNet12Settings(filters=1, growth="doubling")
    network = plain_network(settings)
    images, names = images_of(1)[:, :3], ["blocks.0.0.conv.weight", "blocks.1.shortcut.norm.weight", "blocks.3.2.conv.weight"]
    fixed = weights_of(network)

    def embeddings(*values: torch.Tensor) -> torch.Tensor:
        return embedded(settings, fixed | dict(zip(names, values, strict=True)), images, Kernels())[0]

    leaves = [fixed[name].clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(embeddings, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(embeddings, leaves, fast_mode=True)


@pytest.mark.parametrize(("order", "adapts"), [(1, True), (2, True), (2, False)])
def test_maml_on_it_is_the_plain_loop(order: Any, adapts: bool) -> None:
    settings = ResNet12Settings(filters=2, growth="doubling", batch_norm="batch")
    chosen = MamlSettings(order=order, adaptation_steps=2, inner_lr=0.1, adapt_batch_norm=adapts)
    algorithm = Maml(settings.build(IMAGE), chosen, way=SHAPE.way)
    plain = PlainMaml(plain_network(settings), chosen, features=16, way=SHAPE.way, stream=STREAM).double().train()
    learner = Learner(algorithm, one_group({name: value.detach() for name, value in plain.named_parameters()}))
    episodes = episodes_of(2)
    logits, labels = plain.training_logits(episodes), torch.arange(SHAPE.way).repeat_interleave(SHAPE.query).repeat(2)
    loss, leaves = plain.training_loss(logits.flatten(0, 1), labels), dict(plain.named_parameters())
    for kernels in (Kernels(), Kernels(layout="channels_first", convolution="unfolded", normalisation="plain", stem="maps")):
        torch.testing.assert_close(learner.adapted_logits(episodes, kernels=kernels), logits.detach())
        assert_teaches(learner.taught(episodes, kernels=kernels), loss, leaves, tolerance=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("growth", get_args(Growth))
@pytest.mark.parametrize("scale", [True, False])
def test_it_counts_its_weights_without_making_them(channels: int, growth: Growth, scale: bool) -> None:
    settings, image_shape = ResNet12Settings(filters=4, growth=growth, batch_norm_scale=scale), (channels, 28, 28)
    weights = settings.build(image_shape).initial_weights(STREAM)
    assert settings.weight_count(image_shape) == sum(value.numel() for value in weights.values())


def test_the_network_of_lee_2019_has_the_weights_of_its_authors_code() -> None:
    """12,424,320: the count of the reference module, which follows that code layer by layer."""
    plain = PlainResNet12((3, 84, 84), ResNet12Settings(), stream=STREAM)
    count = sum(value.numel() for value in plain.parameters())
    assert ResNet12Settings().weight_count((3, 84, 84)) == count == 12_424_320
    assert ResNet12Settings().widths == (64, 160, 320, 640) and ResNet12Settings(growth="doubling").widths == (64, 128, 256, 512)


def test_impossible_settings_are_refused_by_name() -> None:
    for wrong in ({"filters": 0}, {"filters": 3}, {"growth": "other"}, {"batch_norm_epsilon": 0.0}, {"batch_norm": "none"}):
        with pytest.raises(SettingError) as raised:
            ResNet12Settings(**wrong)  # type: ignore[arg-type]
        assert raised.value.setting == next(iter(wrong))


def accuracy(glyphs: SplitDataset, folder: Path, **changes: Any) -> float:
    """Percent on unseen classes after a training of seconds."""
    backbone = ResNet12Settings(filters=4, growth="doubling")
    validation = ValidationSettings(shape=EpisodeShape(way=5, shot=1, query=5), every=30, episodes=2, patience=None)
    training = {"steps": 30, "episode": EpisodeShape(way=8, shot=1, query=3), "optimiser": OptimiserSettings(outer_lr=1e-2)}
    recipe = glyphs_recipe(**{**training, "backbone": backbone, "validation": validation, **changes})
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs, path=ONE_BY_ONE))
    evaluation = Evaluation(shape=EpisodeShape(way=5, shot=1, query=5), episodes=60)
    return 100 * evaluate_trial(result, evaluation, folder=folder, dataset=glyphs).accuracy


def test_training_lifts_unseen_classes_above_the_untrained_network_and_wrong_labels_do_not(
    glyphs: SplitDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Honest training gains about 20 points."""
    # Running statistics are gathered all the same: without them any training would beat it.
    untrained = accuracy(glyphs, tmp_path / "untrained", optimiser=OptimiserSettings(outer_lr=1e-30))
    assert accuracy(glyphs, tmp_path / "trained") > untrained + GATE_POINTS
    honest = EpisodeSampler.batch

    def sabotaged(self: EpisodeSampler, step: int, count: int = 1) -> EpisodeBatch:
        episodes = honest(self, step, count)
        return EpisodeBatch(support=episodes.support.roll(1, dims=1), query=episodes.query)

    monkeypatch.setattr(EpisodeSampler, "batch", sabotaged)
    assert accuracy(glyphs, tmp_path / "sabotaged") < untrained + GATE_POINTS


def test_a_sweep_names_it_and_its_settings_and_loads_no_torch() -> None:
    code = """
import sys
from orchestrator.sweep.cell_settings import CellSettings
cell = CellSettings(dataset="glyphs", split="glyphs", way=5, shot=1, backbone="resnet12", growth="doubling")
recipe = cell.recipe(0)
assert recipe.backbone.widths == (64, 128, 256, 512) and cell.initialisation is None
assert recipe.backbone.weight_count((3, 84, 84)) > 10**6 and recipe.backbone.kept_values((3, 84, 84)) > 84 * 84 * 64
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
