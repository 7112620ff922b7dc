"""What every trial of a sweep is doing, the failed ones by cause, and what the launches took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.launch_times import LaunchTimes
from orchestrator.launch.launches import launch_on_record
from orchestrator.launch.workspace import Workspace
from orchestrator.records.driver_lock import running_driver
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import STATES, TrialState
from orchestrator.sweep.plan import PlannedTrial


@dataclass(frozen=True, kw_only=True)
class TrialStatus:
    """A trial and what it is doing."""

    trial: PlannedTrial
    record: TrialRecord
    paths: TrialPaths
    state: TrialState

    @property
    def step(self) -> int:
        """The last step that is on record; 0 before the first."""
        result, progress = self.record.result, self.record.progress
        return result.steps_done if result else progress.step if progress else 0

    @property
    def validation_accuracy(self) -> float | None:
        """That of the weights selected so far, from 0 to 1; None before the first validation."""
        result, progress = self.record.result, self.record.progress
        return result.validation_accuracy if result else progress.best if progress else None

    @property
    def lacks_only_scores(self) -> bool:
        """Whether it is trained, and the next launch only scores it."""
        return self.state == "stopped" and self.record.result is not None

    @property
    def cause(self) -> str | None:
        """Why it failed; None where it did not."""
        failure = self.record.failure
        return failure.cause if failure and self.state == "failed" else None


def trial_statuses(workspace: Workspace) -> tuple[TrialStatus, ...]:
    """The state of every trial of the plan, in the plan's order."""
    return tuple(
        TrialStatus(
            trial=trial,
            record=workspace.records[trial.fingerprint],
            paths=workspace.store.paths(trial.fingerprint),
            state=workspace.state(trial),
        )
        for trial in workspace.plan.trials
    )


def counts_by_state(trials: tuple[TrialStatus, ...]) -> Mapping[TrialState, int]:
    """How many trials are in each state."""
    return {state: sum(each.state == state for each in trials) for state in STATES}


def failures_by_cause(trials: tuple[TrialStatus, ...]) -> Mapping[str, tuple[TrialStatus, ...]]:
    """The failed trials by why they failed."""
    causes = dict.fromkeys(each.cause for each in trials)
    return {cause: tuple(each for each in trials if each.cause == cause) for cause in causes if cause is not None}


def running_launch(workspace: Workspace) -> str | None:
    """The process that runs the sweep now, with whatever overrides; None where there is none."""
    return running_driver(sweep_folder(workspace.places.runs_root, workspace.plan))


def times_of_launches(workspace: Workspace) -> tuple[LaunchTimes, ...]:
    """What the launches of the plan took, the newest last."""
    launch = launch_on_record(sweep_folder(workspace.places.runs_root, workspace.plan), workspace.plan)
    return () if launch is None else launch.times
