"""Divides the time of a process among the trials that it trains together."""

from __future__ import annotations

from collections.abc import Sequence, Set

from fsl_core.training.trial_run import PinnedTrial


class TimeShares:
    """The shares of the trials of a group in the time of their process. A trial alone has all of it, and hears nothing."""

    def __init__(self, group: Sequence[PinnedTrial]) -> None:
        self._group = group
        self._running: frozenset[int] = frozenset()
        self.among({trial.path.place for trial in group})

    def among(self, running: Set[int]) -> None:
        """Divide the time from now on among the trials at these places; the others wait, or have stopped."""
        if len(self._group) == 1 or running == self._running:
            return
        self._running = frozenset(running)
        for trial in self._group:
            trial.run.on_share(1 / len(running) if trial.path.place in running else 0)
