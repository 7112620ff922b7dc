"""SplitMix64 in Python's integers, as its authors wrote it in C: the oracle of every stream."""

import hashlib

_MASK = 0xFFFFFFFFFFFFFFFF


def key_of(seed: int, stream: str) -> int:
    """What a stream is drawn by: the first 64 bits of a digest of its seed and name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{stream}".encode()).digest()[:8], "little")


def nth(state: int, position: int) -> int:
    """The word of a position, from 0, as an unsigned number: ``next()`` called so often after ``state``."""
    z = (state + (position + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def signed(word: int) -> int:
    """The int64 of the same bits."""
    return word - 2**64 if word >= 2**63 else word
