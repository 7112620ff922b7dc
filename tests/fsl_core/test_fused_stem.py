"""The first block on patches: its moments, its derivatives and its choice in a window are torch's."""

from itertools import product

import pytest
import torch
from torch import nn

from fsl_core.backbones import patch_passes
from fsl_core.backbones.fused_stem import fused_stem
from fsl_core.backbones.patches import patches_of

SIDES = [(6, 6), (7, 5), (6, 5)]
FORMS = [(pools, pads, sides) for pools, pads, sides in product((True, False), (True, False), SIDES) if pads or not pools]
GROUPS, IMAGES, CHANNELS, FILTERS = 2, 3, 2, 4


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolved(images: torch.Tensor, kernels: torch.Tensor, *, pools: bool, pads: bool) -> torch.Tensor:
    kernels = kernels.unflatten(1, (CHANNELS, 3, 3))
    if pads:
        return nn.functional.conv2d(images, kernels, padding=1, stride=1 if pools else 2)
    height, width = images.shape[-2:]
    return nn.functional.conv2d(nn.functional.pad(images, (width % 2, 1, height % 2, 1)), kernels, stride=2)


def block(
    images: torch.Tensor, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, pools: bool, pads: bool
) -> torch.Tensor:
    """Torch's own convolution, BatchNorm, pooling and ReLU, a group at a time: ``[G, B * rows * columns, F]``."""
    outs = []
    for group in range(len(images)):
        maps = convolved(images[group], kernels[group], pools=pools, pads=pads)
        out = nn.functional.batch_norm(maps, None, None, scale[group], shift[group], True, 0.1, 1e-5)
        out = nn.functional.max_pool2d(out, 2) if pools else out
        outs.append(torch.relu(out).permute(0, 2, 3, 1).flatten(0, 2))
    return torch.stack(outs)


@pytest.mark.parametrize("values_at_once", [12, 250, 131_072])
@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_it_equals_torchs_block_and_its_first_two_derivatives(
    pools: bool, pads: bool, sides: tuple[int, int], values_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales of both signs; a few windows at a time, some groups at a time, and all at once."""
    monkeypatch.setattr(patch_passes, "_VALUES_AT_ONCE", values_at_once)
    images = drawn(GROUPS, IMAGES, CHANNELS, *sides)
    patches = patches_of(images, pools=pools, pads_evenly=pads)
    shapes = ((GROUPS, FILTERS, CHANNELS * 9), (GROUPS, FILTERS), (GROUPS, FILTERS))
    weights = tuple(drawn(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes, start=1))
    assert (weights[1] < 0).any() and (weights[1] > 0).any()

    ours, theirs = fused_stem(patches, *weights, epsilon=1e-5)[0], block(images, *weights, pools=pools, pads=pads)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    for mine, reference in zip(derivatives(ours, weights), derivatives(theirs, weights), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-10)


def derivatives(out: torch.Tensor, weights: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The gradient of a random projection of ``out``, and that of a random projection of it, by the weights and by the first projection."""
    by = drawn(*out.shape, seed=7).requires_grad_()
    first = torch.autograd.grad(out, weights, by, create_graph=True)
    along = [drawn(*gradient.shape, seed=seed) for seed, gradient in enumerate(first, start=8)]
    return (*first, *torch.autograd.grad(first, (*weights, by), along))


@pytest.mark.parametrize("values_at_once", [12, 250, 131_072])
@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_its_first_two_derivatives_are_those_of_finite_differences(
    pools: bool, pads: bool, sides: tuple[int, int], values_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer channels and filters than above, as finite differences take a step for each number."""
    monkeypatch.setattr(patch_passes, "_VALUES_AT_ONCE", values_at_once)
    patches = patches_of(drawn(GROUPS, IMAGES, 1, *sides), pools=pools, pads_evenly=pads)
    shapes = ((GROUPS, 2, 9), (GROUPS, 2), (GROUPS, 2))
    weights = tuple(drawn(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes, start=1))

    def ours(*weights: torch.Tensor) -> torch.Tensor:
        return fused_stem(patches, *weights, epsilon=1e-5)[0]

    assert torch.autograd.gradcheck(ours, weights)
    assert torch.autograd.gradgradcheck(ours, weights)


@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_the_statistics_are_those_of_the_maps(pools: bool, pads: bool, sides: tuple[int, int]) -> None:
    """Of all places, also of a last row and column that no window covers."""
    images, kernels = drawn(GROUPS, IMAGES, CHANNELS, *sides), drawn(GROUPS, FILTERS, CHANNELS * 9, seed=1)
    patches, ones = patches_of(images, pools=pools, pads_evenly=pads), torch.ones(GROUPS, FILTERS, dtype=torch.float64)
    _, mean, variance = fused_stem(patches, kernels, -ones, ones, epsilon=1e-5)
    for group in range(GROUPS):
        maps = convolved(images[group], kernels[group], pools=pools, pads=pads)
        theirs = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
        torch.testing.assert_close((variance[group], mean[group]), theirs)
        assert patches.count == maps.numel() // FILTERS


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_ties_choose_the_first_response(sign: float) -> None:
    """Images of two values, so that most windows have ties: the gradient of the kernels says which place was taken."""
    images = (drawn(1, 8, CHANNELS, 6, 6) > 1).double()
    weights = (
        drawn(1, FILTERS, CHANNELS * 9, seed=1).sign(),
        torch.full((1, FILTERS), sign).double(),
        torch.ones(1, FILTERS).double(),
    )
    leaves = tuple(value.requires_grad_() for value in weights)
    patches = patches_of(images, pools=True, pads_evenly=True)
    mine, theirs = fused_stem(patches, *leaves, epsilon=1e-5)[0], block(images, *leaves, pools=True, pads=True)
    by = drawn(*mine.shape, seed=2)
    for own, other in zip(*(torch.autograd.grad((out * by).sum(), leaves) for out in (mine, theirs)), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_nearly_constant_images_keep_their_variance() -> None:
    """Neighbouring pixels are nearly alike, in float32: the moments are summed so that their small differences survive."""
    smooth = torch.linspace(0.4, 0.6, 84).expand(1, 4, 3, 84, 84) + 1e-4 * torch.rand(1, 4, 3, 84, 84)
    kernel = torch.tensor([0.0, 0, 0, -1, 2, -1, 0, 0, 0]).repeat(3)[None, None]
    exact = nn.functional.conv2d(smooth[0].double(), kernel.double().unflatten(2, (3, 3, 3))[0], padding=1)
    inner = patches_of(smooth, pools=True, pads_evenly=True)
    ones = torch.ones(1, 1)
    _, _, variance = fused_stem(inner, kernel, ones, ones, epsilon=1e-5)
    assert float(variance) == pytest.approx(float(exact.var(correction=0)), rel=1e-5)
