"""Every form of a convolution over groups, and its two derivatives, are those of torch for each group, whatever the sizes."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fsl_core.backbones.convolution import convolution
from fsl_core.backbones.kernels import Kernels

FORMS = (Kernels(), Kernels(layout="channels_first"), Kernels(layout="channels_first", convolution="unfolded"))
STEMS = (Kernels(stem="products"), Kernels(stem="products", layout="channels_first"))

Convolve = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def derivatives(out: torch.Tensor, of: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The result, its gradients against a direction that depends on it, and theirs."""
    first = torch.autograd.grad(out.square().sum(), of, create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), of)
    return [out.detach(), *(each.detach() for each in first), *second]


def of_each_group(maps: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, stride: int) -> torch.Tensor:
    biases = [None] * len(weights) if bias is None else bias.chunk(len(weights))
    return torch.cat(
        [
            nn.functional.conv2d(own, kernels, own_bias, stride=stride, padding=1)
            for own, kernels, own_bias in zip(maps.chunk(len(weights), dim=1), weights, biases, strict=True)
        ],
        dim=1,
    )


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SIZES = {
    "groups": st.integers(1, 3),
    "images": st.integers(1, 4),
    "side": st.integers(5, 11),
    "stride": st.sampled_from([1, 2]),
    "biased": st.booleans(),
    "seed": st.integers(0, 99),
}


@given(**SIZES)
@settings(deadline=None, max_examples=40)
def test_a_convolution_over_groups_is_that_of_each_group(
    groups: int, images: int, side: int, stride: int, biased: bool, seed: int
) -> None:
    """Maps of 8 x 8 and more, of more images than groups, are products of one image each; smaller or fewer ones of all."""
    maps = random(images, groups * 2, side, side, seed=seed).requires_grad_()
    weights = random(groups, 3, 2, 3, 3, seed=seed + 1).requires_grad_()
    bias = random(groups * 3, seed=seed + 2) if biased else None
    expected = derivatives(of_each_group(maps, weights, bias, stride), (maps, weights))
    for form in FORMS:
        ours = derivatives(form.convolve(maps, weights, bias, stride=stride, padding=1), (maps, weights))
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@given(channels=st.integers(1, 4), **SIZES)
@settings(deadline=None, max_examples=40)
def test_the_convolution_of_images_is_that_of_each_group(
    channels: int, groups: int, images: int, side: int, stride: int, biased: bool, seed: int
) -> None:
    """Images need no gradient; the rows of a product are filled up to a multiple of four numbers."""
    pictures = random(images, groups * channels, side, side, seed=seed)
    weights = random(groups, 3, channels, 3, 3, seed=seed + 1).requires_grad_()
    bias = random(groups * 3, seed=seed + 2) if biased else None
    expected = derivatives(of_each_group(pictures, weights, bias, stride), (weights,))
    for form in STEMS + FORMS:
        folded = form.fold(pictures.unflatten(1, (groups, -1)).transpose(0, 1))
        out = form.convolve_images(folded, weights, bias, stride=stride, padding=1)
        for one, other in zip(derivatives(out, (weights,)), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def of_torch(maps: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    return nn.functional.conv2d(maps, kernels, stride=2, padding=1, groups=2)


def ours(maps: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    return convolution(maps, kernels, stride=2, padding=1, groups=2)


@pytest.mark.parametrize("wanted", [("maps",), ("kernels",), ("maps", "kernels")])
@pytest.mark.parametrize("along", ["maps", "kernels"])
def test_a_second_derivative_is_complete_whichever_gradients_are_wanted(wanted: tuple[str, ...], along: str) -> None:
    """The derivative of one gradient alone, in the maps, the kernels and the gradient's own direction."""

    def second(convolve: Convolve) -> list[torch.Tensor]:
        named = {"maps": random(3, 4, 7, 7, seed=0), "kernels": random(6, 2, 3, 3, seed=1)}
        for name in {*wanted, along}:
            named[name].requires_grad_()
        direction = random(3, 6, 4, 4, seed=2).requires_grad_()
        (first,) = torch.autograd.grad(convolve(*named.values()), named[along], direction, create_graph=True)
        sources = [direction, *(named[name] for name in wanted if name != along)]
        return list(torch.autograd.grad(first.square().sum(), sources))

    for one, other in zip(second(ours), second(of_torch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


class Kernel3x3(TorchDispatchMode):
    """Counts convolutions and their gradients, all of which must have kernels of 3 x 3."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default):
            kernels = args[1] if func is torch.ops.aten.convolution.default else args[2]
            self.sizes.append(tuple(kernels.shape[2:]))
        return func(*args, **(kwargs or {}))


def sizes_in_a_second_derivative(convolve: Convolve, groups: int) -> list[tuple[int, ...]]:
    maps, weights = random(2, groups * 2, 7, 7, seed=0).requires_grad_(), random(groups, 3, 2, 3, 3, seed=1).requires_grad_()
    with Kernel3x3() as seen:
        derivatives(convolve(maps, weights), (maps, weights))
    return seen.sizes


def test_a_second_derivative_has_kernels_of_the_same_size_and_no_convolution_for_each_group() -> None:
    def by_kernels(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return Kernels().convolve(maps, weights, stride=1, padding=1)

    def by_torch(maps: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(maps, weights.flatten(0, 1), padding=1, groups=len(weights))

    assert set(sizes_in_a_second_derivative(by_kernels, 3)) == {(3, 3)}
    assert len(sizes_in_a_second_derivative(by_kernels, 3)) == len(sizes_in_a_second_derivative(by_kernels, 1))
    theirs = sizes_in_a_second_derivative(by_torch, 3)
    assert (7, 7) in theirs and len(theirs) > len(sizes_in_a_second_derivative(by_torch, 1)), "then ours is not needed"


def test_a_convolution_passes_torchs_own_checks_of_derivatives() -> None:
    arguments = random(2, 4, 5, 5, seed=3).requires_grad_(), random(6, 2, 3, 3, seed=4).requires_grad_()
    assert torch.autograd.gradcheck(ours, arguments)
    assert torch.autograd.gradgradcheck(ours, arguments)
