"""Rules out a GPU without importing torch, which takes more than a second."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_CUDA = "libcuda.so.1"
"""The library that torch opens to use an NVIDIA GPU."""
_ROCM = Path("/dev/kfd")
"""The device that torch opens to use an AMD GPU, which it also calls CUDA."""


def gpu_driver_is_here() -> bool:
    """Whether an NVIDIA or AMD driver is installed. Only Linux is checked: elsewhere the answer is always true."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL(_CUDA)
    except OSError:
        return _ROCM.exists()
    return True
