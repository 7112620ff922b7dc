"""Compiled loops, where numba is installed and compiles them as usual. Imports neither torch nor numba before a call."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsl_core.errors import ExecutionPathError

if TYPE_CHECKING:
    from fsl_core.backbones.pixel_loops import PixelLoops

_USUAL: Mapping[str, Any] = {
    "DISABLE_JIT": 0,
    "OPT": 3,
    "LOOP_VECTORIZE": 1,
    "SLP_VECTORIZE": 0,
    "BOUNDSCHECK": None,
    "CPU_NAME": None,
    "CPU_FEATURES": None,
    "DEBUGINFO_DEFAULT": 0,
    "EXTEND_VARIABLE_LIFETIMES": 0,
}
"""numba's settings that switch its compiler off or change its code, with their defaults. A version may lack some."""
_AVX = "NUMBA_ENABLE_AVX"  # its default depends on the processor


def loops_are_installed() -> bool:
    """Whether numba is installed; it is not imported, which takes half a second."""
    return importlib.util.find_spec("numba") is not None


def load_pixel_loops() -> type[PixelLoops]:
    """The passes of the first block as compiled loops.

    Raises:
        ExecutionPathError: numba is not installed, rejects the installed numpy, or has no folder for its code.
    """
    try:
        found: type[PixelLoops] = importlib.import_module("fsl_core.backbones.pixel_loops").PixelLoops
    except (ImportError, RuntimeError, OSError) as error:
        raise ExecutionPathError(f"the execution path has loops, which numba cannot compile here: {error}") from error
    return found


def check_loops_available() -> None:
    """Raises ExecutionPathError if loops cannot be compiled here, or if numba's settings disable or change their code.

    The environment sets them, or a file ``.numba_config.yaml`` in the current folder.
    """
    load_pixel_loops()
    config = importlib.import_module("numba").config
    config.reload_config()
    changing = [
        f"NUMBA_{name.removesuffix('_DEFAULT')}" for name, usual in _USUAL.items() if getattr(config, name, usual) != usual
    ]
    if changing or os.environ.get(_AVX):
        raise ExecutionPathError(
            f"the execution path has loops, but {(changing or [_AVX])[0]} or .numba_config.yaml disables numba or changes its code; "
            "unset it"
        )
