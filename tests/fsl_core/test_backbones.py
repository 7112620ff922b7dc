"""The embedding network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.mlp import Mlp
from fsl_core.backbones.running_statistics import as_layer_statistics, initial_running_statistics, update_running_statistics
from fsl_core.backbones.weights import Statistics, Weights, one_group
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import PrototypicalSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.pairs import Pair, recipe_of


def first_weights(network: Backbone, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Weights:
    """As an embedding is computed by: with a group axis."""
    return one_group({name: value.to(dtype) for name, value in network.initial_weights(Stream(seed, "weights")).items()})


def embedded(network: Backbone, weights: Weights, images: torch.Tensor, statistics: Statistics | None = None) -> torch.Tensor:
    """The embeddings ``[B, D]`` of images ``[B, C, H, W]``."""
    return network.apply(weights, Images(images[None]), kernels=Kernels(), statistics=statistics)[0][0]


@pytest.mark.parametrize(("size", "channels", "width"), [(28, 1, 64), (84, 3, 1600)])
def test_the_embedding_has_the_width_that_the_papers_state(size: int, channels: int, width: int) -> None:
    network = Conv4((channels, size, size), Conv4Settings())
    assert embedded(network, first_weights(network), torch.rand(2, channels, size, size)).shape == (2, width)
    assert network.features == width


def test_convolutions_before_a_batch_norm_have_no_bias() -> None:
    names = set(Conv4((1, 28, 28), Conv4Settings()).initial_weights(Stream(0, "weights")))
    assert not {name for name in names if name.endswith("conv.bias")}


def test_the_block_is_that_of_the_papers() -> None:
    """Convolution, BatchNorm, ReLU, then max-pool: the textbook order gives the same values and gradients."""
    network = Conv4((1, 28, 28), Conv4Settings(filters=8))
    weights = {name: value.requires_grad_() for name, value in first_weights(network, dtype=torch.float64).items()}
    images = torch.rand(6, 1, 28, 28, dtype=torch.float64)
    textbook = images
    for block in range(4):
        convolved = torch.nn.functional.conv2d(textbook, weights[f"blocks.{block}.conv.weight"][0], padding=1)
        scale, shift = (weights[f"blocks.{block}.norm.{name}"][0] for name in ("weight", "bias"))
        normalised = torch.nn.functional.batch_norm(convolved, None, None, scale, shift, training=True, eps=1e-5)
        textbook = torch.nn.functional.max_pool2d(torch.relu(normalised), 2)
    ours = embedded(network, weights, images)
    torch.testing.assert_close(ours, textbook.flatten(1))
    by = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    leaves = list(weights.values())
    mine, theirs = (torch.autograd.grad((out.flatten(1) * by).sum(), leaves) for out in (ours, textbook))
    for own, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(own, other)


def test_the_same_stream_gives_the_same_weights() -> None:
    network = Conv4((1, 28, 28), Conv4Settings())
    first, again, other = (first_weights(network, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.1.conv.weight"], other["blocks.1.conv.weight"])


def test_strides_halve_the_side_and_the_last_map_is_averaged() -> None:
    """As MAML's authors do on Omniglot: 28, 14, 7, 4, 2, then the mean over space."""
    network = Conv4((1, 28, 28), Conv4Settings(downsampling="stride"))
    weights = first_weights(network, dtype=torch.float64)
    images = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    maps = images
    for block, side in enumerate((14, 7, 4, 2)):
        convolved = torch.nn.functional.conv2d(maps, weights[f"blocks.{block}.conv.weight"][0], stride=2, padding=1)
        centred = convolved - convolved.mean((0, 2, 3), keepdim=True)
        spread = convolved.var((0, 2, 3), keepdim=True, unbiased=False)
        maps = torch.relu(centred / (spread + 1e-5).sqrt())
        assert maps.shape == (5, 64, side, side)
    torch.testing.assert_close(embedded(network, weights, images), maps.mean((2, 3)))
    assert network.features == 64


def network_of(settings: BackboneSettings) -> Backbone:
    """The backbone for 28x28 images."""
    return Mlp((1, 28, 28), settings) if isinstance(settings, MlpSettings) else Conv4((1, 28, 28), settings)


KINDS = pytest.mark.parametrize("kind", [MlpSettings, partial(Conv4Settings, filters=8)], ids=["mlp", "conv4"])
IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@KINDS
@pytest.mark.parametrize(("running", "depends"), [(True, False), (False, True)])
def test_an_embedding_depends_on_its_batch_unless_statistics_are_passed(
    kind: Callable[..., BackboneSettings], running: bool, depends: bool
) -> None:
    network = network_of(kind())
    weights = first_weights(network)
    statistics = as_layer_statistics(one_group(initial_running_statistics(network.norms))) if running else None
    alone, among_others = (embedded(network, weights, images, statistics) for images in (IMAGES[:3], IMAGES))
    assert depends is not torch.allclose(alone, among_others[:3], atol=1e-5)


@KINDS
def test_the_statistics_that_are_returned_normalise_another_batch_as_this_one(kind: Callable[..., BackboneSettings]) -> None:
    """A batch by its own statistics has the same embeddings given or not, and a part of it by those of the whole."""
    network = network_of(kind())
    weights, images = first_weights(network, dtype=torch.float64), IMAGES.double()
    own, statistics = network.apply(weights, Images(images[None]), kernels=Kernels())
    torch.testing.assert_close(embedded(network, weights, images[:3], statistics), own[0, :3])
    assert not torch.allclose(embedded(network, weights, images[:3]), own[0, :3], atol=1e-5)


@KINDS
def test_running_statistics_are_updated_as_in_torch(kind: Callable[..., BackboneSettings]) -> None:
    """A batch of training leaves its trace in every layer; none in the running statistics by which an embedding is computed."""
    pair = Pair.of(recipe_of(PrototypicalSettings(), kind(batch_norm="running")), image_shape=(1, 28, 28))
    algorithm, weights, images = pair.learner.algorithm, pair.learner.weights, IMAGES.double()
    running = one_group({name: value.double() for name, value in algorithm.initial_statistics().items()})
    fresh = {name: value.clone() for name, value in running.items()}
    algorithm.embed(weights, running, images, Kernels())
    assert all(torch.equal(value, fresh[name]) for name, value in running.items())
    backbone_weights = {name.removeprefix("backbone."): value for name, value in weights.items()}
    for batch in (images, images[:4]):
        _, used = algorithm.backbone.apply(backbone_weights, Images(batch[None]), kernels=Kernels())
        update_running_statistics(running, {f"backbone.{name}": values for name, values in used.items()})
        pair.plain.embed(batch)
    theirs: dict[str, Any] = dict(pair.plain.named_buffers())
    assert len(running) == 2 * 4  # the mean and the variance of four layers
    for name, value in running.items():
        assert not torch.equal(value, fresh[name])
        torch.testing.assert_close(value[0], theirs[name], rtol=1e-10, atol=1e-12)


def test_metric_algorithms_keep_running_statistics() -> None:
    """By which an image's embedding is the same in any batch."""
    learner = Learner.of(PrototypicalNetworks(network_of(Conv4Settings(filters=8)), PrototypicalSettings()), dtype=torch.float32)
    running = one_group(learner.algorithm.initial_statistics())
    alone, together = (learner.algorithm.embed(learner.weights, running, images, Kernels()) for images in (IMAGES[:3], IMAGES))
    torch.testing.assert_close(alone, together[:3])


def test_the_network_without_convolutions_is_that_of_the_paper() -> None:
    """256, 128, 64 and 64 hidden units, each with BatchNorm and ReLU."""
    network = Mlp((1, 28, 28), MlpSettings())
    weights = first_weights(network, dtype=torch.float64)
    images = torch.rand(7, 1, 28, 28, dtype=torch.float64)
    values = images.flatten(1)
    for layer, width in enumerate((256, 128, 64, 64)):
        assert f"layers.{layer}.0.bias" not in weights
        values = values @ weights[f"layers.{layer}.0.weight"][0].T
        values = torch.relu((values - values.mean(0)) / (values.var(0, unbiased=False) + 1e-5).sqrt())
        assert values.shape == (7, width)
    torch.testing.assert_close(embedded(network, weights, images), values)
