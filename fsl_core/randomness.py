"""Named streams of random numbers, all derived from one seed.

A stream is a pure function of (seed, name, position): drawing step 400 needs no memory of steps 0 to 399. So a trial's place in its
streams is its step number alone, and nothing else has to be saved to resume it bit for bit.
"""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, stream: str, position: int = 0) -> int:
    """A 63-bit seed for one position of a named stream."""
    text = f"{seed}/{stream}/{position}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def generator_at(seed: int, stream: str, position: int = 0, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on ``device`` that stands at the start of one position of a named stream."""
    return torch.Generator(device=device).manual_seed(derived_seed(seed, stream, position))
