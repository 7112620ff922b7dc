"""BatchNorm, pooling and ReLU in their forms: derivatives by finite differences, and torch's own choice where values are equal."""

import pytest
import torch
from torch import nn

from fsl_core.backbones.fused_norm import fused_norm
from fsl_core.backbones.kernels import Kernels, Normalisation
from fsl_core.backbones.normalisation import BatchNorm
from fsl_core.backbones.weights import LayerStatistics
from fsl_core.recipe.backbone_settings import Conv4Settings

EPSILON = 1e-3
FORMATS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["first", "last"])
NORMALISATIONS = pytest.mark.parametrize("normalisation", ["fused", "plain"])
POOLS = pytest.mark.parametrize("pools", [True, False])
SIDES = pytest.mark.parametrize("sides", [(4, 4), (5, 3)], ids=["even", "odd"])
SCALES = {"positive": (0.8, 1.3, 0.5), "mixed": (0.8, -1.3, 0.5), "with a zero": (0.8, -1.3, 0.0)}


def inputs(
    sides: tuple[int, int], layout: torch.memory_format, scales: str = "mixed"
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps ``[2, 3, ...]`` of which no two values are close, scales and shifts; float64 leaves."""
    values = torch.randperm(2 * 3 * sides[0] * sides[1], generator=torch.Generator().manual_seed(0)).double() / 10
    maps = values.reshape(2, 3, *sides).contiguous(memory_format=layout).requires_grad_()
    scale = torch.tensor(SCALES[scales], dtype=torch.float64, requires_grad=True)
    return maps, scale, torch.tensor([0.11, -0.23, 0.37], dtype=torch.float64, requires_grad=True)


def plain(maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, pools: bool) -> torch.Tensor:
    """The same of torch's operations."""
    normalised = nn.functional.batch_norm(maps, None, None, scale, shift, training=True, eps=EPSILON)
    return torch.relu(nn.functional.max_pool2d(normalised, 2) if pools else normalised)


@FORMATS
@POOLS
@SIDES
def test_both_derivatives_equal_finite_differences(sides: tuple[int, int], layout: torch.memory_format, pools: bool) -> None:
    """Scales of either sign; at 0 the pooled maximum has no derivative."""

    def fused(*arguments: torch.Tensor) -> torch.Tensor:
        return fused_norm(*arguments, epsilon=EPSILON, pools=pools)[0]  # type: ignore[misc]

    assert torch.autograd.gradcheck(fused, inputs(sides, layout))
    assert torch.autograd.gradgradcheck(fused, inputs(sides, layout), gen_non_contig_grad_outputs=True)


def derivatives(out: torch.Tensor, leaves: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """The result, its gradients, and those of a number that is made of all of these."""
    by = torch.linspace(-1, 1.5, out.numel(), dtype=torch.float64).view(out.shape)
    first = torch.autograd.grad((out * by).sum(), leaves, create_graph=True)
    mixed = sum((values * values.detach().sin()).sum() for values in first)
    assert isinstance(mixed, torch.Tensor)
    second = torch.autograd.grad(mixed, leaves, allow_unused=True, materialize_grads=True)
    return [values.detach() for values in (out, *first, *second)]


def in_form(
    normalisation: Normalisation, maps: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, *, pools: bool
) -> tuple[torch.Tensor, LayerStatistics]:
    """The result and the statistics of a layer that is computed in this form."""
    layer = BatchNorm(name="norm", channels=len(scale), settings=Conv4Settings(batch_norm_epsilon=EPSILON), pools=pools)
    weights = {"norm.weight": scale.unsqueeze(0), "norm.bias": shift.unsqueeze(0)}
    return layer.rectified(maps, weights, Kernels(normalisation=normalisation))


@FORMATS
@POOLS
@SIDES
@NORMALISATIONS
@pytest.mark.parametrize("scales", SCALES)
def test_result_and_derivatives_are_those_of_torchs_operations(
    sides: tuple[int, int], layout: torch.memory_format, pools: bool, scales: str, normalisation: Normalisation
) -> None:
    leaves = inputs(sides, layout, scales)
    out, statistics = in_form(normalisation, *leaves, pools=pools)
    mean, variance = statistics.mean[0], statistics.variance[0]
    for ours, theirs in zip(derivatives(out, leaves), derivatives(plain(*leaves, pools), leaves), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(mean, leaves[0].mean((0, 2, 3)))
    torch.testing.assert_close(variance, leaves[0].var((0, 2, 3), unbiased=False))
    assert not mean.requires_grad and not variance.requires_grad
    assert out.is_contiguous(memory_format=layout)


@FORMATS
@NORMALISATIONS
@pytest.mark.parametrize("scales", SCALES)
def test_ties_are_pooled_as_in_torch(layout: torch.memory_format, scales: str, normalisation: Normalisation) -> None:
    """Maps that are constant in each window, and one that is constant altogether: the gradient goes to a single place of a window."""
    _, scale, shift = inputs((4, 4), layout, scales)
    blocks = torch.randperm(24, generator=torch.Generator().manual_seed(1)).double().reshape(2, 3, 2, 2)
    for values in (blocks.repeat_interleave(2, 2).repeat_interleave(2, 3), torch.ones(2, 3, 4, 4, dtype=torch.float64)):
        leaves = (values.contiguous(memory_format=layout).requires_grad_(), scale, shift.detach().abs().requires_grad_())
        out, _ = in_form(normalisation, *leaves, pools=True)
        for ours, theirs in zip(derivatives(out, leaves), derivatives(plain(*leaves, True), leaves), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
