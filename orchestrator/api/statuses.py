"""``fsl.status``: what each trial of a sweep is doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.api.loading import SweepLike, workspace_of
from orchestrator.launch.launch_times import LaunchTimes
from orchestrator.launch.sweep_status import (
    TrialStatus,
    counts_by_state,
    failures_by_cause,
    running_launch,
    times_of_launches,
    trial_statuses,
)
from orchestrator.launch.workspace import Workspace
from orchestrator.records.trial_state import TrialState
from orchestrator.report.identifiers import identifier

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepStatus:
    """What a sweep is doing, as of one look.

    Attributes:
        workspace: the sweep, its plan and its records.
        trials: the status of every trial, in the plan's order.
        launches: what the launches of this plan took, the newest last.
        running_launch: the process that runs the sweep now, with its host and start; None where there is none.
    """

    workspace: Workspace
    trials: tuple[TrialStatus, ...]
    launches: tuple[LaunchTimes, ...]
    running_launch: str | None = None

    @property
    def counts(self) -> Mapping[TrialState, int]:
        """How many trials are in each state."""
        return counts_by_state(self.trials)

    @property
    def failures(self) -> Mapping[str, tuple[TrialStatus, ...]]:
        """The failed trials by why they failed."""
        return failures_by_cause(self.trials)

    def frame(self) -> pd.DataFrame:
        """A row for each trial: its id, name, state, steps, best validation accuracy, and why it failed."""
        import pandas as pd

        rows = [
            {
                "trial_id": identifier("trial_id", each.trial.fingerprint),
                "name": each.trial.name,
                "state": each.state,
                "step": each.step,
                "steps": each.trial.recipe.steps,
                "validation_accuracy_percent": None if each.validation_accuracy is None else 100 * each.validation_accuracy,
                "cause": each.cause,
            }
            for each in self.trials
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {state}" for state, count in self.counts.items() if count)
        return f"<status of {self.workspace.plan.spec.name}: {counts}>"


def status(sweep: SweepLike) -> SweepStatus:
    """Which trials are running, waiting, done and failed.

    Args:
        sweep: the name or the path of a sweep file, or what :func:`load` returns.

    Returns:
        The state of each trial, the failures by cause, and what earlier launches took.

    Raises:
        SweepFileError: the sweep file is wrong.

    Example:
        >>> fsl.status("quick").counts["done"]  # doctest: +SKIP
        14
    """
    workspace = workspace_of(sweep)
    return SweepStatus(
        workspace=workspace,
        trials=trial_statuses(workspace),
        launches=times_of_launches(workspace),
        running_launch=running_launch(workspace),
    )
