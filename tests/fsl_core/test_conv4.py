"""The embedding network."""

import pytest
import torch

from fsl_core.backbones.conv4 import Conv4


@pytest.mark.parametrize(("size", "channels", "width"), [(28, 1, 64), (84, 3, 1600)])
def test_the_embedding_has_the_width_that_the_papers_state(size: int, channels: int, width: int) -> None:
    network = Conv4(channels, generator=torch.Generator().manual_seed(0))
    assert network(torch.rand(2, channels, size, size)).shape == (2, width)


def test_convolutions_before_a_batch_norm_have_no_bias() -> None:
    names = {name for name, _ in Conv4(1, generator=torch.Generator().manual_seed(0)).named_parameters()}
    assert not {name for name in names if name.endswith("conv.bias")}


def test_it_is_the_block_of_the_papers() -> None:
    """Convolution, BatchNorm, ReLU, then max-pool: the textbook order gives the same values and gradients."""
    network = Conv4(1, 8, generator=torch.Generator().manual_seed(0)).double()
    images = torch.rand(6, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    textbook = images
    for block in network.blocks:
        textbook = torch.nn.functional.max_pool2d(torch.relu(block.norm(block.conv(textbook))), 2)
    ours = network(images)
    torch.testing.assert_close(ours, textbook.flatten(1))
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (mine,), (theirs,) = (torch.autograd.grad((out.flatten(1) * weights).sum(), images) for out in (ours, textbook))
    torch.testing.assert_close(mine, theirs)


def test_the_same_generator_gives_the_same_weights() -> None:
    first, again = (Conv4(1, generator=torch.Generator().manual_seed(3)).state_dict() for _ in range(2))
    other = Conv4(1, generator=torch.Generator().manual_seed(4)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["blocks.1.conv.weight"], other["blocks.1.conv.weight"])
