"""glibc's allocator: the settings that our trainings run with, for those peers that get them too; and memory handed back."""

from __future__ import annotations

import ctypes
from pathlib import Path

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_MIB = 2**20
_STATUS = Path("/proc/self/status")
_CLEAR_PEAK = "5"  # of /proc/self/clear_refs: man 5 proc


def keep_freed_memory() -> None:
    """Have glibc keep the memory of freed activations for the next step; elsewhere than on glibc do nothing."""
    glibc = _glibc()
    if glibc is None:
        return
    glibc.mallopt(_M_ARENA_MAX, 1)
    glibc.mallopt(_M_MMAP_MAX, 0)
    glibc.mallopt(_M_TRIM_THRESHOLD, 2048 * _MIB - 1)
    glibc.mallopt(_M_TOP_PAD, 64 * _MIB)


def hand_back_freed_memory() -> None:
    """Give the kernel what is free, so that processes which wait for their turn hold little."""
    glibc = _glibc()
    if glibc is not None:
        glibc.malloc_trim(0)


def forget_peak() -> None:
    """Begin a new peak at the memory held now."""
    try:
        Path("/proc/self/clear_refs").write_text(_CLEAR_PEAK)
    except OSError:
        return  # not Linux, or not allowed: the peak is then that of the whole process


def held_mb() -> float | None:
    """The resident memory now, in MB (10^6 bytes); None where the kernel does not say."""
    return _status_mb("VmRSS")


def peak_mb() -> float | None:
    """The highest resident memory since :func:`forget_peak`, in MB; None where the kernel does not say."""
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
