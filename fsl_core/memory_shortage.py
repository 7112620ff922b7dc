"""Recognises errors caused by a shortage of memory, which say nothing about the file being read."""

from __future__ import annotations

import errno

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
"""The wording of torch and the C++ library in a plain RuntimeError, for CPU or GPU memory."""


def is_memory_shortage(error: Exception) -> bool:
    """Return whether an error means a shortage of memory: the attempt may succeed later."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error).lower() for each in _WORDS)
    )
