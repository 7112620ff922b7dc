"""The precision in which a training multiplies on CUDA, and which devices have it. Nothing here imports torch."""

from __future__ import annotations

from typing import Literal

MatmulPrecision = Literal["float32", "tf32"]
"""``tf32``: the factors of matrix products and convolutions have 10 bits after the point instead of 23; sums stay float32."""


def device_has(device: str, precision: MatmulPrecision) -> bool:
    """Whether a kind of device, ``cpu`` or ``cuda``, has a precision: TF32 is of NVIDIA's GPUs alone."""
    return precision == "float32" or device == "cuda"
