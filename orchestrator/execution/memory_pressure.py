"""Reduces the number of concurrent trials when memory runs out, and gives up trials that do not fit alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

TRIES_ALONE = 4


class MemoryPressure:
    """The limit on concurrent trials, over consecutive launches of Ray that each ran out of memory.

    After several trials ran at once, half as many may run next: it is not known which took the memory. A trial that ran
    out ``TRIES_ALONE`` times alone is given up, and the requested limit applies again. ``at_once`` is the limit of the next launch;
    None: no limit.
    """

    def __init__(self, asked: int | None) -> None:
        self.at_once = self._asked = asked
        self._alone = Counter[str]()

    def ran_out(self, running: Collection[str], first: str) -> str | None:
        """Record that a launch ran out of memory.

        Args:
            running: the trials that had started and not ended.
            first: the first trial to start, whose worker died where none had started.

        Returns:
            The trial to give up, if any.
        """
        if self.at_once != 1:
            self.at_once = max(1, len(running) // 2)
            return None
        [alone] = running or [first]
        self._alone[alone] += 1
        if self._alone[alone] < TRIES_ALONE:
            return None
        self.at_once = self._asked
        return alone
