"""Timings of work by wall clock and processor, and whether the machine was busy meanwhile. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

BUSY_FROM = 1.25
"""If wall clock exceeds the counted seconds by this factor, other programs used the processor."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Repeated measurements of one unit of work: the counted seconds, and the wall clock.

    ``wall`` is empty if it was not recorded: how busy the machine was is then unknown. ``peak_bytes``: the peak memory of tensors on a
    GPU; None on a CPU, or if it was not recorded.
    """

    seconds: tuple[float, ...]
    wall: tuple[float, ...] = ()
    peak_bytes: int | None = None

    @property
    def busy(self) -> bool:
        """Whether the machine was busy, or may have been."""
        return not self.wall or sum(self.wall) > BUSY_FROM * sum(self.seconds)

    def surer_than(self, other: Timing) -> bool:
        """Return whether this timing replaces an older one: it is quiet, or both are busy and this one is faster.

        Other programs can only slow a step down, through shared caches even if only processor seconds count.
        """
        return not self.busy or (other.busy and sum(self.seconds) / len(self.seconds) < sum(other.seconds) / len(other.seconds))


def counted_seconds(*, wall: float, processor: float, threads: int) -> float:
    """The counted seconds of work on ``threads`` threads, from its wall clock and the processor seconds of all threads together.

    For one thread, the processor seconds. For several, the wall clock if every thread worked nearly all the time. Otherwise one thread's
    share, the least possible time: either other programs used the processor or the work left threads idle, and the timing counts as one
    of a busy machine.
    """
    share = processor / threads
    return wall if threads > 1 and wall <= BUSY_FROM * share else share
