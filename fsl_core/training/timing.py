"""What a clock and the processor say of a piece of work, and whether the machine was busy meanwhile. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

BUSY_FROM = 1.25
"""Where wall clock is more than this many times the seconds that count, other programs had the processor."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """The seconds of one unit of work, measured some times: those that count, and the wall clock beside them.

    ``wall`` is empty where nobody noted it: nothing is known then of how busy the machine was.
    """

    seconds: tuple[float, ...]
    wall: tuple[float, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether the machine was busy, or may have been."""
        return not self.wall or sum(self.wall) > BUSY_FROM * sum(self.seconds)

    def surer_than(self, other: Timing) -> bool:
        """Whether this timing replaces the other, older one: it is quiet, or both are busy and this one is quicker.

        Other programs only slow a step down, by the caches that they share even where its processor seconds alone count.
        """
        return not self.busy or (other.busy and sum(self.seconds) / len(self.seconds) < sum(other.seconds) / len(other.seconds))


def counted_seconds(*, wall: float, processor: float, threads: int) -> float:
    """The seconds of work on ``threads`` threads that count, of its wall clock and of the processor's seconds on all threads together.

    One thread: the processor's. Several: wall clock, which is how long the work takes however well it fills them, where every thread
    was at work nearly all the time. Otherwise the share of one thread, the least that it can take: whether other programs had the
    processor or the work leaves threads idle cannot be told apart, and the timing counts as one of a busy machine.
    """
    share = processor / threads
    return wall if threads > 1 and wall <= BUSY_FROM * share else share
