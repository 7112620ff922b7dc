"""Errors that say that the memory is short, and nothing of what was being read."""

from __future__ import annotations

import errno

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
"""What torch and the C++ library below it write into a plain RuntimeError, of the processor's memory or a GPU's."""


def is_memory_shortage(error: Exception) -> bool:
    """Whether an error says that the memory did not suffice: what was tried may succeed later."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error).lower() for each in _WORDS)
    )
