"""Whether torch.compile can be used on this machine for results that repeat."""

from __future__ import annotations

import os
import re

import torch

from fsl_core.errors import ExecutionPathError

_CHANGES_CODE = re.compile(r"TORCH_COMPILE_(DISABLE|OVERRIDE_BACKENDS)|TORCHDYNAMO_\w+|TORCHINDUCTOR_(?!CACHE_DIR$)\w+")
"""The environment variables that switch the compiler off, replace it, or change the code that it generates."""


def check_compiler_available() -> None:
    """Raises ExecutionPathError if torch.compile is switched off or changed, or cannot promise the same bits in every process."""
    if changing := sorted(name for name, value in os.environ.items() if value and _CHANGES_CODE.fullmatch(name)):
        raise ExecutionPathError(
            f"the execution path is compiled, but {changing[0]} disables torch.compile or changes its code; unset it"
        )
    from torch import _inductor
    from torch._dynamo import config  # only here: the imports take a second

    if config.disable:
        raise ExecutionPathError("the execution path is compiled, but torch.compile is disabled in this process")
    if "deterministic" not in _inductor.list_options():
        raise ExecutionPathError(f"the execution path is compiled, which needs torch 2.10 or later; this is {torch.__version__}")
