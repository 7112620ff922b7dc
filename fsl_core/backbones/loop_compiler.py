"""Whether this machine compiles loops for its processor. Imports neither torch nor numba before a call."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from typing import TYPE_CHECKING

from fsl_core.errors import ExecutionPathError

if TYPE_CHECKING:
    from fsl_core.backbones.pixel_loops import PixelLoops

_CHANGES_CODE = re.compile(r"NUMBA_(DISABLE_JIT|OPT|CPU_\w+|ENABLE_AVX|(LOOP|SLP)_VECTORIZE|BOUNDSCHECK|LLVM_\w+)")
"""The environment variables that switch the compiler off or change the code that it generates."""


def loops_may_compile() -> bool:
    """Whether numba is installed; it is not imported, which takes half a second."""
    return importlib.util.find_spec("numba") is not None


def pixel_loops() -> type[PixelLoops]:
    """The passes of the first block as compiled loops.

    Raises:
        ExecutionPathError: numba is not installed, rejects the installed numpy, or has no folder for its code; or the environment
            changes the code.
    """
    if changing := sorted(name for name, value in os.environ.items() if value and _CHANGES_CODE.fullmatch(name)):
        raise ExecutionPathError(
            f"the execution path has a stem of loops, but {changing[0]} disables numba or changes its code; unset it"
        )
    try:
        found: type[PixelLoops] = importlib.import_module("fsl_core.backbones.pixel_loops").PixelLoops
    except (ImportError, RuntimeError) as error:
        raise ExecutionPathError(f"the execution path has a stem of loops, which numba cannot compile here: {error}") from error
    return found
