"""Both forms of a convolution over groups, and its two derivatives, are those of torch for each group, whatever the sizes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fsl_core.backbones.kernels import Kernels

FORMS = (Kernels(), Kernels(layout="channels_first", convolution="unfolded"))


def derivatives(out: torch.Tensor, maps: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """The result, its gradients against a direction that depends on it, and theirs."""
    first = torch.autograd.grad(out.square().sum(), (maps, weights), create_graph=True)
    second = torch.autograd.grad(sum(each.square().sum() for each in first), (maps, weights))
    return [out.detach(), *(each.detach() for each in first), *second]


@given(
    groups=st.integers(1, 3),
    images=st.integers(1, 4),
    side=st.integers(5, 11),
    stride=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_a_convolution_over_groups_is_that_of_each_group(groups: int, images: int, side: int, stride: int, seed: int) -> None:
    """Maps of 8 x 8 and more, of more images than groups, are products of one image each; smaller or fewer ones of all."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand((images, groups * 2, side, side), generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.rand((groups, 3, 2, 3, 3), generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.rand(groups * 3, generator=generator, dtype=torch.float64)
    of_each = [
        nn.functional.conv2d(own, kernels, own_bias, stride=stride, padding=1)
        for own, kernels, own_bias in zip(maps.chunk(groups, dim=1), weights, bias.chunk(groups), strict=True)
    ]
    expected = derivatives(torch.cat(of_each, dim=1), maps, weights)
    for form in FORMS:
        ours = derivatives(form.convolve(maps, weights, bias, stride=stride, padding=1), maps, weights)
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
