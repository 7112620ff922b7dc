"""Whether a GPU could be here at all, which can be said without torch, whose import takes more than a second."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_CUDA = "libcuda.so.1"
"""What torch itself opens to reach a GPU of NVIDIA."""
_ROCM = Path("/dev/kfd")
"""What it opens to reach one of AMD, which it calls CUDA too."""


def gpu_driver_is_here() -> bool:
    """Whether the driver of a GPU is installed, NVIDIA's or AMD's; taken to be elsewhere than on Linux, where this does not tell."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL(_CUDA)
    except OSError:
        return _ROCM.exists()
    return True
