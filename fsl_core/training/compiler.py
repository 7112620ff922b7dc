"""Whether torch.compile can be used on this machine for results that repeat."""

from __future__ import annotations

import torch

from fsl_core.errors import ExecutionPathError


def check_compiler_available() -> None:
    """Raises ExecutionPathError if torch.compile is switched off, or cannot promise the same bits in every process."""
    from torch import _inductor
    from torch._dynamo import config  # only here: the imports take a second

    if config.disable:
        raise ExecutionPathError(
            "the execution path is compiled, but the environment disables torch.compile; unset TORCH_COMPILE_DISABLE"
        )
    if "deterministic" not in _inductor.list_options():
        raise ExecutionPathError(f"the execution path is compiled, which needs torch 2.10 or later; this is {torch.__version__}")
