"""What the driver tells a tracker, and the tracker that listens to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.shown_sweep import ShownSweep, ShownTable


class Tracker(Protocol):
    """A view of the sweep that is kept up to date while it runs. The records stay the truth: a view may be lost and made again.

    The driver calls ``begin``, then the trials' methods, then ``finish``. Every method may raise TrackingError.
    """

    def begin(self, shown: ShownSweep) -> None:
        """Open the view of this sweep, and find in it what earlier launches sent."""
        ...

    def trial_started(self, trial: PlannedTrial) -> None:
        """A trial starts, or resumes."""
        ...

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """New points of a running trial's curves."""
        ...

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        """Make the view of a trial that is not running equal to its record; doing it again changes nothing.

        Returns the run's id where it is known at once.
        """
        ...

    def finish(self, table: ShownTable | None) -> None:
        """The launch ends: show the table. None for a launch that was killed before it had one."""
        ...

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        ...


class StoreTracker(Tracker, Protocol):
    """A tracker on a store that remembers what it has taken."""

    def lacks(self, shown: ShownSweep) -> bool:
        """Whether the store was not told yet that it has all of this launch. It only looks; what was deleted there is not missed."""
        ...

    def open_place(self, shown: ShownSweep) -> None:
        """Make the place of a sweep where the store has none."""
        ...

    def confirm(self, shown: ShownSweep) -> None:
        """Tell the store that it has all of a launch; to be called last, when nothing was refused."""
        ...


class NullTracker:
    """A tracker that keeps nothing."""

    def begin(self, shown: ShownSweep) -> None:
        """Nothing to open."""

    def trial_started(self, trial: PlannedTrial) -> None:
        """Nothing to show."""

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Nothing to show."""

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        """No run, so no id."""
        return None

    def finish(self, table: ShownTable | None) -> None:
        """Nothing to close."""

    def run_ids(self) -> Mapping[str, str]:
        """No runs."""
        return {}
