"""The state of a trial in one word, defined once for status, plan, exports, MLflow and the live view."""

from __future__ import annotations

from typing import Literal, get_args

from fsl_core.training.trial_records import attempts_recorded
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial

TrialState = Literal["running", "scoring", "stopped", "waiting", "done", "diverged", "failed"]
"""``running``: trains now; ``scoring``: is evaluated now; ``stopped``: has begun, and the next launch resumes it; ``waiting``: not begun.

``done``: has every score wanted of it; ``diverged``: can have none; ``failed``: its last attempt ended with an error.
"""

STATES: tuple[TrialState, ...] = get_args(TrialState)
"""All states, the active ones first."""


def trial_state(trial: PlannedTrial, record: TrialRecord, *, held: bool) -> TrialState:
    """The state of a trial by its record; ``held``: a process works on it now."""
    if record.result is not None and record.result.status == "diverged":
        return "diverged"
    if is_done(trial, record):
        return "done"
    if held:
        return "running" if record.result is None else "scoring"
    if record.failure is not None and record.failure.attempts >= attempts_of(record):
        return "failed"
    return "waiting" if record.result is None and record.progress is None and record.failure is None else "stopped"


def is_done(trial: PlannedTrial, record: TrialRecord) -> bool:
    """Whether a trial has its result and every score wanted of it; a diverged trial needs no scores."""
    if record.result is None:
        return False
    return record.result.status == "diverged" or {each.fingerprint for each in trial.evaluations} <= set(record.evaluations)


def attempts_of(record: TrialRecord) -> int:
    """The number of attempts at the training that the records show."""
    return attempts_recorded(record.progress, record.failure, record.execution)
