"""Variables by which numerical libraries round otherwise: what is accepted of each, and which are recorded beside a result."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fsl_core.errors import ExecutionPathError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

ACCEPTED: Mapping[str, tuple[str, ...]] = {
    WORKSPACE: (":16:8", ":4096:8"),  # those that torch.use_deterministic_algorithms accepts
    "NVIDIA_TF32_OVERRIDE": ("0",),  # 1 takes 10 bits of every factor on CUDA, whatever torch is asked
    "DNNL_DEFAULT_FPMATH_MODE": ("STRICT",),  # BF16, F16, TF32 and ANY do so on the CPU
    "ONEDNN_DEFAULT_FPMATH_MODE": ("STRICT",),
}
"""The values, in capitals, under which float32 is float32 and a computation is repeatable; unset or empty is accepted too."""


OTHER_LAST_BITS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")
"""Variables that choose among a processor's instructions: the last bits are those of another processor, and float32 is float32."""


def recorded(environ: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """The variables that are set and change the last bits of a result."""
    return {name: environ[name] for name in OTHER_LAST_BITS if environ.get(name)}


def refuse_other_arithmetic(environ: Mapping[str, str] = os.environ) -> None:
    """Raises ExecutionPathError when a variable asks for less than float32, or for what differs from run to run."""
    for name, accepted in ACCEPTED.items():
        value = environ.get(name, "")
        if value and value.upper() not in accepted:
            raise ExecutionPathError(
                f"{name} is {value!r}, which changes the numbers; unset it (accepted: {', '.join(accepted)})"
            )
