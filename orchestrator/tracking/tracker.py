"""The protocol between the driver and a tracker, and a tracker that does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.shown_sweep import ShownSweep, ShownTable


class Tracker(Protocol):
    """A view of the sweep that is updated while it runs. The records are the truth: a lost view is rebuilt from them.

    The driver calls ``begin``, then the trials' methods, then ``finish``. Every method may raise TrackingError.
    """

    def begin(self, shown: ShownSweep) -> None:
        """Open the view of this sweep, and find the runs of earlier launches."""
        ...

    def trial_started(self, trial: PlannedTrial) -> None:
        """A trial starts, or resumes."""
        ...

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """New points of a running trial's curves."""
        ...

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        """Make the view of a trial that is not running equal to its record; repeating it changes nothing.

        Returns the run's id where it is already known.
        """
        ...

    def finish(self, table: ShownTable | None) -> None:
        """The launch ends: show the table, which is None where the launch was killed before."""
        ...

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        ...


class StoreTracker(Tracker, Protocol):
    """A tracker on a store that remembers complete launches."""

    def lacks(self, shown: ShownSweep) -> bool:
        """Whether the store lacks the confirmation of this launch. Changes nothing; views deleted by the user do not count."""
        ...

    def open_place(self, shown: ShownSweep) -> None:
        """Create the sweep's experiment where it is missing."""
        ...

    def confirm(self, shown: ShownSweep) -> None:
        """Confirm to the store that it has the whole launch. Call it last, if nothing was refused."""
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
