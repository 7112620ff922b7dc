"""First weights as PyTorch's defaults have them: today's, and those of 2018."""

import math

import pytest

from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from tests.fsl_core.first_weights import Array, is_uniform, is_uniform_between, matrices, weights_of

TODAY = [Conv4Settings(batch_norm="batch"), MlpSettings()]
OF_2018 = [Conv4Settings(batch_norm="batch", initialisation="pytorch_2018"), MlpSettings(initialisation="pytorch_2018")]


def scales(weights: dict[str, Array]) -> list[Array]:
    return [value for name, value in weights.items() if value.ndim == 1 and name.endswith("weight")]


def shifts(weights: dict[str, Array]) -> list[Array]:
    return [value for name, value in weights.items() if name.endswith("bias") and name != "network.1.bias"]


@pytest.mark.parametrize("backbone", [*TODAY, *OF_2018], ids=lambda chosen: f"{chosen.name}-{chosen.initialisation}")
def test_weights_are_uniform_by_fan_in_and_shifts_start_at_zero(backbone: BackboneSettings) -> None:
    weights = weights_of(backbone)
    for value in matrices(weights):
        assert is_uniform(value, 1 / (3 * math.prod(value.shape[1:])))
    assert len(shifts(weights)) == 4 and not any(shift.any() for shift in shifts(weights))


@pytest.mark.parametrize("backbone", TODAY, ids=lambda chosen: chosen.name)
def test_scales_start_at_one_and_the_last_bias_at_zero(backbone: BackboneSettings) -> None:
    weights = weights_of(backbone)
    assert len(scales(weights)) == 4 and all((scale == 1).all() for scale in scales(weights))
    assert not weights["network.1.bias"].any()


@pytest.mark.parametrize("backbone", OF_2018, ids=lambda chosen: chosen.name)
def test_before_pytorch_1_2_scales_were_uniform_between_zero_and_one(backbone: BackboneSettings) -> None:
    """Its documentation: "the elements of γ are sampled from U(0, 1)"; a linear layer's bias within 1 / sqrt(in_features)."""
    first, again, other = (weights_of(backbone, way=50, seed=seed) for seed in (0, 0, 1))
    assert len(scales(first)) == 4
    for scale, same, another in zip(scales(first), scales(again), scales(other), strict=True):
        assert is_uniform_between(0, 1, scale) and (scale == same).all() and not (scale == another).any()
    assert not any((left == right).any() for left, right in zip(scales(first)[2:], scales(first)[3:], strict=False))
    bias, bound = first["network.1.bias"], 1 / math.sqrt(first["network.1.weight"].shape[1])
    assert is_uniform_between(-bound, bound, bias) and abs(bias).max() > 0.9 * bound


def test_the_other_weights_of_2018_are_todays() -> None:
    for today, then in zip(TODAY, OF_2018, strict=True):
        ours, theirs = weights_of(today), weights_of(then)
        for left, right in zip(matrices(ours), matrices(theirs), strict=True):
            assert (left == right).all()
