"""The precision of matrix products and convolutions inside a block: full float32, or TF32 on CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fsl_core.errors import ExecutionPathError
from fsl_core.recipe.matmul_precision import MatmulPrecision, device_has

_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
_FIRST_CAPABILITY = (8, 0)  # Ampere, the first GPUs with TF32; older ones silently compute in float32


@contextmanager
def multiplying_in(precision: MatmulPrecision) -> Iterator[None]:
    """Multiply in ``precision`` inside the block, and restore torch's previous setting after it."""
    products = torch.get_float32_matmul_precision()  # TORCH_ALLOW_TF32_CUBLAS_OVERRIDE lowers it
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def check_precision_available(device: str, precision: MatmulPrecision) -> None:
    """Raises ExecutionPathError if the device does not multiply in ``precision``."""
    if not device_has(device, precision):
        raise ExecutionPathError(
            f"matmul_precision is {precision!r}, which a CPU does not support; train on CUDA or give 'float32'"
        )
    if precision == "tf32" and torch.cuda.get_device_capability() < _FIRST_CAPABILITY:
        name = torch.cuda.get_device_name()
        raise ExecutionPathError(f"matmul_precision is {precision!r}, which {name} does not support; GPUs do from Ampere on")
    if precision == "tf32" and os.environ.get(_OVERRIDE):
        value = os.environ[_OVERRIDE]
        raise ExecutionPathError(f"matmul_precision is {precision!r}, but {_OVERRIDE} is {value!r}, which prevents it; unset it")
