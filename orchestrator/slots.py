"""How many trials run at once."""

from __future__ import annotations

GPU_SHARE = 0.25
"""The part of a GPU that one trial sets aside: Conv-4 on small images leaves most of one idle."""


def slots(*, cpus: int, gpus: int | None, most: int | None = None) -> int:
    """One trial for each CPU, and where they compute on ``gpus`` GPUs no more than share them; ``most`` bounds it."""
    there = cpus if gpus is None else min(cpus, int(gpus / GPU_SHARE))
    return max(1, min(there, most) if most else there)
