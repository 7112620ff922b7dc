"""Environment variables that change the rounding of numerical libraries: accepted values, and those recorded with a result."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fsl_core.errors import ExecutionPathError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

ACCEPTED: Mapping[str, tuple[str, ...]] = {
    WORKSPACE: (":16:8", ":4096:8"),  # as torch.use_deterministic_algorithms accepts
    "NVIDIA_TF32_OVERRIDE": ("0",),  # 1 reduces every factor on CUDA to 10 bits, whatever torch requests
    "DNNL_DEFAULT_FPMATH_MODE": ("STRICT",),  # BF16, F16, TF32 and ANY do the same on the CPU
    "ONEDNN_DEFAULT_FPMATH_MODE": ("STRICT",),
}
"""The values, in capitals, that keep full float32 and repeatable results; unset or empty is accepted too."""


OTHER_LAST_BITS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that select processor instructions: they change the last bits, as another processor would, but keep full float32."""


def recorded(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The variables that are set and change the last bits of a result."""
    return {name: environ[name] for name in OTHER_LAST_BITS if environ.get(name)}


def refuse_other_arithmetic(environ: Mapping[str, str] = os.environ) -> None:
    """Raises ExecutionPathError if a variable requests less than float32, or results that differ from run to run."""
    for name, accepted in ACCEPTED.items():
        value = environ.get(name, "")
        if value and value.upper() not in accepted:
            raise ExecutionPathError(f"{name} is {value!r}, which changes results; unset it (accepted: {', '.join(accepted)})")
