"""Adam is torch's, to the bit."""

import pytest
import torch

from fsl_core.training.adam import Adam

SHAPES = {"scale": (2, 3), "kernels": (2, 4, 3)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_its_steps_are_those_of_torchs_class(dtype: torch.dtype) -> None:
    """With a learning rate that changes."""
    weights = {name: torch.randn(shape, dtype=dtype) for name, shape in SHAPES.items()}
    torchs = {name: values.clone() for name, values in weights.items()}
    ours, reference = Adam.of(weights, 0.1), torch.optim.Adam(list(torchs.values()), lr=0.1, fused=True)
    for step in range(10):
        gradient = {name: torch.randn_like(values) for name, values in weights.items()}
        for name, values in gradient.items():
            torchs[name].grad = values.clone()
        ours.rate = reference.param_groups[0]["lr"] = 0.1 / (step + 1)
        ours.descend(weights, gradient)
        reference.step()
    for name, values in weights.items():
        assert torch.equal(values, torchs[name])
