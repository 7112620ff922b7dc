"""glibc's allocator: the settings of our trainings, also given to some peers, and the release of memory."""

from __future__ import annotations

import ctypes
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_MIB = 2**20
_STATUS = Path("/proc/self/status")
_CLEAR_PEAK = "5"  # of /proc/self/clear_refs: man 5 proc


def keep_freed_memory() -> None:
    """Make glibc keep the memory of freed activations for the next step; without glibc do nothing."""
    glibc = _glibc()
    if glibc is None:
        return
    glibc.mallopt(_M_ARENA_MAX, 1)
    glibc.mallopt(_M_MMAP_MAX, 0)
    glibc.mallopt(_M_TRIM_THRESHOLD, 2048 * _MIB - 1)
    glibc.mallopt(_M_TOP_PAD, 64 * _MIB)


def hand_back_freed_memory() -> None:
    """Return free memory to the kernel, so that waiting processes hold little."""
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)


def forget_peak() -> None:
    """Reset the peak to the memory held now."""
    try:
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
    except OSError:
        return  # not Linux, or not permitted: the peak is then that of the whole process


def held_mb() -> float | None:
    """The present resident memory, in MB (10^6 bytes); None if the kernel does not report it."""
    return _status_mb("VmRSS")


def peak_mb() -> float | None:
    """The highest resident memory since :func:`forget_peak`, in MB; None if the kernel does not report it."""
    return _status_mb("VmHWM")


def _status_mb(name: str) -> float | None:
    if not _STATUS.exists():
        return None
    fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
    return int(fields[name].split()[0]) * 1024 / 1e6


def _glibc() -> ctypes.CDLL | None:
    try:
        glibc = ctypes.CDLL("libc.so.6")
        return glibc if hasattr(glibc, "mallopt") and hasattr(glibc, "malloc_trim") else None
    except OSError:
        return None
