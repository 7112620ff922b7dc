"""How many trials run at once where the memory runs out, and which trial cannot run there at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

TRIES_ALONE = 4


class MemoryPressure:
    """What launches learn from one another, when each was ended because the memory ran out.

    As long as several trials may run at once, fewer may in the next launch: which of them took the memory is not known. A trial that
    ran out ``TRIES_ALONE`` times with the memory to itself is given up, and then as many as were asked for may run again.
    ``at_once`` is the most trials that the next launch may run, None where nothing bounds them.
    """

    def __init__(self, asked: int | None) -> None:
        self.at_once = self._asked = asked
        self._alone = Counter[str]()

    def ran_out(self, running: Collection[str], first: str) -> str | None:
        """Take in that a launch ended so.

        Args:
            running: the trials that had reported in and had not ended.
            first: the trial that was to start first; the one whose worker died where none had reported in.

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
