"""What a trial is doing, in one word: the one definition for status, plan, exports, MLflow and the live view."""

from __future__ import annotations

from typing import Literal, get_args

from fsl_core.training.trial_records import attempts_recorded
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial

TrialState = Literal["running", "scoring", "stopped", "waiting", "done", "diverged", "failed"]
"""``running`` trains now and ``scoring`` is evaluated now; ``stopped`` has begun and is resumed by the next launch, ``waiting`` has not.

``done`` has every score that is wanted of it, ``diverged`` never will; ``failed`` met an error in its last attempt.
"""

STATES: tuple[TrialState, ...] = get_args(TrialState)
"""All states, those that somebody works on first."""


def trial_state(trial: PlannedTrial, record: TrialRecord, *, held: bool) -> TrialState:
    """The state that a trial's record tells of; ``held`` says that a process works on the trial now."""
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
    """Whether a trial has its result and every score wanted of it; one that diverged has no scores to wait for."""
    if record.result is None:
        return False
    return record.result.status == "diverged" or {each.fingerprint for each in trial.evaluations} <= set(record.evaluations)


def attempts_of(record: TrialRecord) -> int:
    """How often the training was begun, as far as any record tells."""
    return attempts_recorded(record.progress, record.failure, record.execution)
