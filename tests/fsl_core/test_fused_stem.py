"""The first block as one operation, on patches and by compiled loops: its moments, derivatives and choices in windows are torch's."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import nn

from fsl_core.backbones import patch_passes
from fsl_core.backbones.fused_stem import fused_stem
from fsl_core.backbones.images import Images
from fsl_core.backbones.stem_passes import StemPasses


@dataclass(frozen=True)
class Way:
    """A way to compute the passes. ``values_at_once`` bounds the parts of those over patches; None for loops."""

    values_at_once: int | None
    channels: int

    def passes(self, images: torch.Tensor, *, pools: bool, pads: bool) -> StemPasses:
        return Images(images).passes(pools=pools, pads_evenly=pads, loops=self.values_at_once is None)

    def __str__(self) -> str:
        return "loops" if self.values_at_once is None else f"patches, {self.values_at_once} at once"


WAYS = [Way(12, 2), Way(250, 2), Way(131_072, 2), Way(None, 1)]
"""A few windows at a time, some groups at a time, all at once; and loops, which are for images of one channel."""


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    found: Way = request.param
    if found.values_at_once is not None:
        monkeypatch.setattr(patch_passes, "_VALUES_AT_ONCE", found.values_at_once)
    return found


SIDES = [(6, 6), (7, 5), (6, 5)]
FORMS = [(pools, pads, sides) for pools, pads, sides in product((True, False), (True, False), SIDES) if pads or not pools]
GROUPS, IMAGES, FILTERS = 2, 3, 4


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolved(images: torch.Tensor, kernels: torch.Tensor, *, pools: bool, pads: bool) -> torch.Tensor:
    kernels = kernels.unflatten(1, (-1, 3, 3))
    if pads:
        return nn.functional.conv2d(images, kernels, padding=1, stride=1 if pools else 2)
    height, width = images.shape[-2:]
    return nn.functional.conv2d(nn.functional.pad(images, (width % 2, 1, height % 2, 1)), kernels, stride=2)


def block(
    images: torch.Tensor, kernels: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, pools: bool, pads: bool
) -> torch.Tensor:
    """Torch's own convolution, BatchNorm, pooling and ReLU, a group at a time: ``[B, G * F, rows, columns]``."""
    outs = []
    for group in range(len(images)):
        maps = convolved(images[group], kernels[group], pools=pools, pads=pads)
        out = nn.functional.batch_norm(maps, None, None, scale[group], shift[group], True, 0.1, 1e-5)
        out = nn.functional.max_pool2d(out, 2) if pools else out
        outs.append(torch.relu(out))
    return torch.cat(outs, dim=1)


@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_it_equals_torchs_block_and_its_first_two_derivatives(pools: bool, pads: bool, sides: tuple[int, int], way: Way) -> None:
    """Scales of both signs."""
    images = drawn(GROUPS, IMAGES, way.channels, *sides)
    passes = way.passes(images, pools=pools, pads=pads)
    shapes = ((GROUPS, FILTERS, way.channels * 9), (GROUPS, FILTERS), (GROUPS, FILTERS))
    weights = tuple(drawn(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes, start=1))
    assert (weights[1] < 0).any() and (weights[1] > 0).any()

    ours, theirs = fused_stem(passes, *weights, epsilon=1e-5)[0], block(images, *weights, pools=pools, pads=pads)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
    for mine, reference in zip(derivatives(ours, weights), derivatives(theirs, weights), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-9, atol=1e-10)


def derivatives(out: torch.Tensor, weights: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The gradient of a random projection of ``out``, and that of a random projection of it, by the weights and by the first projection."""
    by = drawn(*out.shape, seed=7).requires_grad_()
    first = torch.autograd.grad(out, weights, by, create_graph=True)
    along = [drawn(*gradient.shape, seed=seed) for seed, gradient in enumerate(first, start=8)]
    return (*first, *torch.autograd.grad(first, (*weights, by), along))


@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_its_first_two_derivatives_are_those_of_finite_differences(
    pools: bool, pads: bool, sides: tuple[int, int], way: Way
) -> None:
    """With fewer channels and filters than above, as finite differences take a step for each number."""
    passes = way.passes(drawn(GROUPS, IMAGES, 1, *sides), pools=pools, pads=pads)
    shapes = ((GROUPS, 2, 9), (GROUPS, 2), (GROUPS, 2))
    weights = tuple(drawn(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(shapes, start=1))

    def ours(*weights: torch.Tensor) -> torch.Tensor:
        return fused_stem(passes, *weights, epsilon=1e-5)[0]

    assert torch.autograd.gradcheck(ours, weights)
    assert torch.autograd.gradgradcheck(ours, weights)


@pytest.mark.parametrize(("pools", "pads", "sides"), FORMS)
def test_the_statistics_are_those_of_the_maps(pools: bool, pads: bool, sides: tuple[int, int], way: Way) -> None:
    """Of all places, also of a last row and column that no window covers."""
    images, kernels = drawn(GROUPS, IMAGES, way.channels, *sides), drawn(GROUPS, FILTERS, way.channels * 9, seed=1)
    passes, ones = way.passes(images, pools=pools, pads=pads), torch.ones(GROUPS, FILTERS, dtype=torch.float64)
    _, mean, variance = fused_stem(passes, kernels, -ones, ones, epsilon=1e-5)
    for group in range(GROUPS):
        maps = convolved(images[group], kernels[group], pools=pools, pads=pads)
        theirs = torch.var_mean(maps, dim=(0, 2, 3), correction=0)
        torch.testing.assert_close((variance[group], mean[group]), theirs)
        assert passes.moments.count == maps.numel() // FILTERS


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
def test_ties_choose_the_first_response(sign: float, way: Way) -> None:
    """Images of two values, so that most windows have ties: the gradient of the kernels says which place was taken."""
    images = (drawn(1, 8, way.channels, 6, 6) > 1).double()
    weights = (
        drawn(1, FILTERS, way.channels * 9, seed=1).sign(),
        torch.full((1, FILTERS), sign).double(),
        torch.ones(1, FILTERS).double(),
    )
    leaves = tuple(value.requires_grad_() for value in weights)
    passes = way.passes(images, pools=True, pads=True)
    mine, theirs = fused_stem(passes, *leaves, epsilon=1e-5)[0], block(images, *leaves, pools=True, pads=True)
    by = drawn(*mine.shape, seed=2)
    for own, other in zip(*(torch.autograd.grad((out * by).sum(), leaves) for out in (mine, theirs)), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_nearly_constant_images_keep_their_variance(way: Way) -> None:
    """Neighbouring pixels are nearly alike, in float32: the moments are summed so that their small differences survive."""
    shape = (1, 4, way.channels, 84, 84)
    smooth = torch.linspace(0.4, 0.6, 84).expand(shape) + 1e-4 * torch.rand(shape, generator=torch.Generator().manual_seed(0))
    kernel = torch.tensor([0.0, 0, 0, -1, 2, -1, 0, 0, 0]).repeat(way.channels)[None, None]
    exact = nn.functional.conv2d(smooth[0].double(), kernel.double().unflatten(2, (-1, 3, 3))[0], padding=1)
    ones = torch.ones(1, 1)
    _, _, variance = fused_stem(way.passes(smooth, pools=True, pads=True), kernel, ones, ones, epsilon=1e-5)
    assert float(variance) == pytest.approx(float(exact.var(correction=0)), rel=1e-5)


@pytest.mark.parametrize("pools", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_diverged_stays_so(pools: bool, value: float, way: Way) -> None:
    """A training ends as diverged only if its loss is not finite: no ReLU and no largest response may hide it."""
    images = drawn(1, IMAGES, way.channels, 6, 6)
    kernels = torch.full((1, FILTERS, way.channels * 9), value, dtype=torch.float64).requires_grad_()
    ones = torch.ones(1, FILTERS, dtype=torch.float64)
    out, _, _ = fused_stem(way.passes(images, pools=pools, pads=True), kernels, ones, ones, epsilon=1e-5)
    assert out.isnan().all()
    (gradient,) = torch.autograd.grad(out.sum(), kernels)
    assert gradient.isnan().all()
