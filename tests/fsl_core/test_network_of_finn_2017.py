"""The network of MAML's authors, against numpy and the formulas of TensorFlow's documentation."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.conv4 import Conv4
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.mlp import Mlp
from fsl_core.backbones.weights import Weights, one_group
from fsl_core.randomness import Stream
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from tests.fsl_core.first_weights import Array, is_normal, is_uniform, matrices, weights_of

THEIRS: dict[str, Any] = {
    "batch_norm": "batch",
    "batch_norm_scale": False,
    "batch_norm_epsilon": 1e-3,
    "initialisation": "finn_2017",
}
STRIDED = Conv4Settings(downsampling="stride", padding="same", **THEIRS)
POOLED = Conv4Settings(filters=32, **THEIRS)
PERCEPTRON = MlpSettings(**THEIRS)


def padded_as_tensorflow(images: Array, stride: int) -> Array:
    """ "SAME": the output has ceil(n / stride) pixels a side, and of the padding it needs the smaller half is put first."""
    widths = [(0, 0), (0, 0)]
    for side in images.shape[2:]:
        total = max((math.ceil(side / stride) - 1) * stride + 3 - side, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(images, widths)


def convolved(images: Array, kernel: Array, stride: int) -> Array:
    """A 3x3 convolution as TensorFlow's, one output pixel after another: ``[B, C, H, W]`` by ``[F, C, 3, 3]``."""
    padded = padded_as_tensorflow(images, stride)
    sides = [math.ceil(side / stride) for side in images.shape[2:]]
    out = np.empty((len(images), len(kernel), *sides))
    for row in range(sides[0]):
        for column in range(sides[1]):
            window = padded[:, :, row * stride : row * stride + 3, column * stride : column * stride + 3]
            out[:, :, row, column] = np.einsum("bcij,fcij->bf", window, kernel)
    return out


def shifted(values: Array, shift: Array) -> Array:
    """BatchNorm by the batch's mean and biased variance, a shift alone, epsilon 1e-3; then ReLU."""
    axes = tuple(axis for axis in range(values.ndim) if axis != 1)
    shape = tuple(-1 if axis == 1 else 1 for axis in range(values.ndim))
    mean, variance = values.mean(axes, keepdims=True), values.var(axes, keepdims=True)
    return np.maximum((values - mean) / np.sqrt(variance + 1e-3) + shift.reshape(shape), 0)


def drawn_weights(network: Backbone, seed: int = 0) -> tuple[Weights, list[Array]]:
    """First weights in float64, with shifts other than the zeros that a network begins with; and these shifts."""
    generator = torch.Generator().manual_seed(1)
    weights = {name: value.double() for name, value in network.initial_weights(Stream(seed, "weights")).items()}
    shifts = []
    for norm, channels in network.norms.items():
        assert f"{norm}.weight" not in weights and not weights[f"{norm}.bias"].any()
        weights[f"{norm}.bias"] = torch.randn(channels, generator=generator, dtype=torch.float64)
        shifts.append(weights[f"{norm}.bias"].numpy())
    assert len(shifts) == 4
    return weights, shifts


def embedded(network: Backbone, weights: Weights, images: torch.Tensor) -> Array:
    """The embeddings ``[B, D]`` of images ``[B, C, H, W]``."""
    values: Array = network.apply(one_group(weights), Images(images[None]), kernels=Kernels())[0][0].numpy()
    return values


@settings(max_examples=10, deadline=None)
@given(st.integers(16, 33), st.integers(16, 33), st.integers(0, 2**31))
def test_strided_convolutions_are_padded_as_tensorflow_pads(height: int, width: int, seed: int) -> None:
    """Sides even and odd, on the way down through four blocks; 28 pixels go 14, 7, 4 and 2."""
    chosen = Conv4Settings(filters=3, downsampling="stride", padding="same", **THEIRS)
    network = Conv4((2, height, width), chosen)
    weights, shifts = drawn_weights(network, seed)
    images = np.random.default_rng(seed).random((3, 2, height, width))
    values: Array = images
    for block, shift in enumerate(shifts):
        values = shifted(convolved(values, weights[f"blocks.{block}.conv.weight"].numpy(), 2), shift)
    np.testing.assert_allclose(embedded(network, weights, torch.from_numpy(images)), values.mean((2, 3)), rtol=1e-9, atol=1e-9)


def test_the_other_padding_differs_except_for_odd_sides() -> None:
    """So that the test above would notice one for the other."""
    for side, alike in ((28, False), (17, True)):  # 17 goes 9, 5, 3 and 2: odd in all four blocks
        images = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(0))
        networks = [
            Conv4((1, side, side), Conv4Settings(filters=4, downsampling="stride", padding=padding))  # type: ignore[arg-type]
            for padding in ("symmetric", "same")
        ]
        weights = networks[0].initial_weights(Stream(0, "weights"))
        assert np.allclose(*(embedded(network, weights, images) for network in networks), atol=1e-5) is alike


def test_the_pooled_network_has_only_a_shift() -> None:
    network = Conv4((3, 32, 32), Conv4Settings(filters=3, **THEIRS))
    weights, shifts = drawn_weights(network)
    images = np.random.default_rng(0).random((3, 3, 32, 32))
    values: Array = images
    for block, shift in enumerate(shifts):
        values = shifted(convolved(values, weights[f"blocks.{block}.conv.weight"].numpy(), 1), shift)
        values = values.reshape(*values.shape[:2], values.shape[2] // 2, 2, values.shape[3] // 2, 2).max((3, 5))
    np.testing.assert_allclose(embedded(network, weights, torch.from_numpy(images)), values.reshape(3, -1), rtol=1e-9, atol=1e-9)


def test_the_network_without_convolutions_has_only_a_shift() -> None:
    network = Mlp((1, 28, 28), PERCEPTRON)
    weights, shifts = drawn_weights(network)
    images = np.random.default_rng(0).random((7, 1, 28, 28))
    values: Array = images.reshape(7, -1)
    for layer, shift in enumerate(shifts):
        values = shifted(values @ weights[f"layers.{layer}.0.weight"].numpy().T, shift)
    np.testing.assert_allclose(embedded(network, weights, torch.from_numpy(images)), values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("backbone", [STRIDED, POOLED], ids=["stride", "max_pool"])
def test_convolutions_are_xavier_uniform_over_the_kernels_pixels(backbone: Conv4Settings) -> None:
    *convolutions, head = matrices(weights_of(backbone, way=20))
    inputs = (1, *[backbone.filters] * 3)
    for weights, channels in zip(convolutions, inputs, strict=True):
        assert is_uniform(weights, 2 / (9 * channels + 9 * backbone.filters))
        assert not is_uniform(weights, 1 / (27 * channels))  # ours, one over the root of the fan-in
    if backbone is STRIDED:
        assert is_normal(head, 1.0) and not is_normal(head, 0.8)
    else:
        assert is_uniform(head, 2 / (backbone.filters + 20))


def test_networks_without_convolutions_and_their_heads_are_truncated_normal() -> None:
    layers = matrices(weights_of(PERCEPTRON, way=20))
    assert [layer.shape for layer in layers] == [(256, 784), (128, 256), (64, 128), (64, 64), (20, 64)]
    for weights in layers:
        assert is_normal(weights, 0.01, cut=2)
    assert not is_normal(layers[0], 0.01) and not is_normal(layers[0], 0.0088)


@pytest.mark.parametrize("backbone", [STRIDED, POOLED, PERCEPTRON], ids=["stride", "max_pool", "mlp"])
def test_biases_start_at_zero_and_every_weight_is_sampled_from_the_seed(backbone: BackboneSettings) -> None:
    first, again, other = (weights_of(backbone, seed=seed) for seed in (0, 0, 1))
    for name, value in first.items():
        assert np.array_equal(value, again[name])
        assert (not value.any()) if value.ndim == 1 else not np.array_equal(value, other[name])
