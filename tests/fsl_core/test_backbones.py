"""The embedding network."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.mlp import Mlp
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings


@pytest.mark.parametrize(("size", "channels", "width"), [(28, 1, 64), (84, 3, 1600)])
def test_the_embedding_has_the_width_that_the_papers_state(size: int, channels: int, width: int) -> None:
    network = Conv4((channels, size, size), Conv4Settings(), stream=Stream(0, "weights"))
    assert network(torch.rand(2, channels, size, size)).shape == (2, width)


def test_convolutions_before_a_batch_norm_have_no_bias() -> None:
    names = {name for name, _ in Conv4((1, 28, 28), Conv4Settings(), stream=Stream(0, "weights")).named_parameters()}
    assert not {name for name in names if name.endswith("conv.bias")}


def test_it_is_the_block_of_the_papers() -> None:
    """Convolution, BatchNorm, ReLU, then max-pool: the textbook order gives the same values and gradients."""
    network = Conv4((1, 28, 28), Conv4Settings(filters=8), stream=Stream(0, "weights")).double()
    images = torch.rand(6, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    textbook = images
    for block in network.blocks:
        textbook = torch.nn.functional.max_pool2d(torch.relu(block.norm(block.conv(textbook))), 2)
    ours = network(images)
    torch.testing.assert_close(ours, textbook.flatten(1))
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (mine,), (theirs,) = (torch.autograd.grad((out.flatten(1) * weights).sum(), images) for out in (ours, textbook))
    torch.testing.assert_close(mine, theirs)


def test_the_same_stream_gives_the_same_weights() -> None:
    first, again = (Conv4((1, 28, 28), Conv4Settings(), stream=Stream(3, "weights")).state_dict() for _ in range(2))
    other = Conv4((1, 28, 28), Conv4Settings(), stream=Stream(4, "weights")).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.1.conv.weight"], other["blocks.1.conv.weight"])


def test_strides_halve_the_side_and_the_last_map_is_averaged() -> None:
    """As MAML's authors do on Omniglot: 28, 14, 7, 4, 2, then the mean over space."""
    network = Conv4((1, 28, 28), Conv4Settings(downsampling="stride"), stream=Stream(0, "weights")).double()
    images = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    maps = images
    for block, side in zip(network.blocks, (14, 7, 4, 2), strict=True):
        convolved = torch.nn.functional.conv2d(maps, block.conv.weight, stride=2, padding=1)
        centred = convolved - convolved.mean((0, 2, 3), keepdim=True)
        spread = convolved.var((0, 2, 3), keepdim=True, unbiased=False)
        maps = torch.relu(centred / (spread + 1e-5).sqrt())
        assert maps.shape == (5, 64, side, side)
    torch.testing.assert_close(network(images), maps.mean((2, 3)))
    assert network.features == 64


def network_of(settings: BackboneSettings) -> Conv4 | Mlp:
    """The backbone for 28x28 images; the same weights every time."""
    stream = Stream(0, "weights")
    if isinstance(settings, MlpSettings):
        return Mlp((1, 28, 28), settings, stream=stream)
    return Conv4((1, 28, 28), settings, stream=stream)


KINDS = pytest.mark.parametrize("kind", [MlpSettings, partial(Conv4Settings, filters=8)], ids=["mlp", "conv4"])


@KINDS
@pytest.mark.parametrize(("statistics", "depends"), [("running", False), ("batch", True)])
def test_what_normalises_a_score_is_a_setting(kind: Callable[..., BackboneSettings], statistics: str, depends: bool) -> None:
    """Under evaluation an image's embedding depends on its batch with the batch's own statistics, and never with running ones."""
    network = network_of(kind(batch_norm=statistics)).eval()
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    alone, among_others = network(images[:3]), network(images)[:3]
    assert depends is not torch.allclose(alone, among_others, atol=1e-5)


@KINDS
@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_training_always_normalises_by_the_batch(kind: Callable[..., BackboneSettings], statistics: str) -> None:
    """And then both settings embed alike."""
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    network, other = network_of(kind(batch_norm=statistics)), network_of(kind(batch_norm="batch"))
    torch.testing.assert_close(network(images), other(images))
    assert not torch.allclose(network(images[:3]), network(images)[:3], atol=1e-5)


@KINDS
def test_running_statistics_are_gathered_in_training_alone(kind: Callable[..., BackboneSettings]) -> None:
    """A batch of training leaves its trace in every layer, a score leaves none; with the batch's own there is nothing to gather."""
    network = network_of(kind(batch_norm="running"))
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    fresh = {name: value.clone() for name, value in network.named_buffers()}
    network.eval()(images)
    assert all(torch.equal(value, fresh[name]) for name, value in network.named_buffers())
    network.train()(images)
    assert len(fresh) == 3 * 4  # the mean, the variance and the count of four layers
    assert not any(torch.equal(value, fresh[name]) for name, value in network.named_buffers())
    assert not list(network_of(kind(batch_norm="batch")).buffers())


def test_the_network_without_convolutions_is_the_papers() -> None:
    """256, 128, 64 and 64 hidden units, each with BatchNorm and ReLU."""
    network = Mlp((1, 28, 28), MlpSettings(), stream=Stream(0, "weights")).double()
    images = torch.rand(7, 1, 28, 28, dtype=torch.float64)
    values = images.flatten(1)
    for layer, width in zip(network.layers, (256, 128, 64, 64), strict=True):
        assert layer[0].bias is None
        values = values @ layer[0].weight.T
        values = torch.relu((values - values.mean(0)) / (values.var(0, unbiased=False) + 1e-5).sqrt())
        assert values.shape == (7, width)
    torch.testing.assert_close(network(images), values)
