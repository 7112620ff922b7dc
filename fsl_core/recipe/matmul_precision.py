"""The precision of matrix products in training on CUDA, and the devices that support it. Imports no torch."""

from __future__ import annotations

from typing import Literal

MatmulPrecision = Literal["float32", "tf32"]
"""``tf32``: the factors of matrix products and convolutions have 10 mantissa bits instead of 23; sums stay float32."""


def device_has(device: str, precision: MatmulPrecision) -> bool:
    """Return whether a device, ``cpu`` or ``cuda``, supports a precision: only NVIDIA's GPUs have TF32."""
    return precision == "float32" or device == "cuda"
