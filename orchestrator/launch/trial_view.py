"""What people see of one trial while a sweep runs: its state, how far it is, how long it will take."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.execution.job import EventKind, TrialEvent
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState
from orchestrator.sweep.plan import Plan, PlannedTrial

_STATE_AFTER: Mapping[EventKind, TrialState] = {
    "started": "running",
    "progress": "running",
    "scoring": "scoring",
    "finished": "done",
    "diverged": "diverged",
    "failed": "failed",
    "stopped": "stopped",
}


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """What is shown of one trial: ``step`` of ``steps`` of the training that runs, which with ``retrain`` is the first or the second.

    ``accuracy`` is that of the newest validation, in 0..1.

    ``began`` is in monotonic seconds; ``first_step`` is where this launch began or resumed that training.

    A trial that has work to do is ``waiting`` until this launch comes to it, whatever became of it in an earlier one.
    """

    name: str
    state: TrialState = "waiting"
    step: int = 0
    steps: int = 0
    first_step: int | None = None
    accuracy: float | None = None
    began: float | None = None
    message: str = ""

    def after(self, event: TrialEvent, now: float) -> TrialView:
        """The view once an event has been seen at the monotonic time ``now``."""
        state = _STATE_AFTER[event.kind]
        changes: dict[str, object] = {"state": state, "message": event.message, "steps": event.steps or self.steps}
        if event.kind == "started":
            changes |= {"began": now, "first_step": None}
        if event.kind == "progress" and (self.first_step is None or event.step < self.step):
            # A lower step is of the second training of `retrain`, or of an older checkpoint: its pace is not that of before.
            changes |= {"first_step": event.step, "began": now, "step": event.step}
        else:
            changes["step"] = min(max(event.step, self.step), event.steps or self.steps)
        accuracy = event.metrics.get("validation_accuracy")  # not the selected weights', which are of another step
        return replace(self, **changes, accuracy=self.accuracy if accuracy is None else accuracy)  # type: ignore[arg-type]

    def seconds_left(self, now: float) -> float | None:
        """Seconds to the end of the training that runs, at its pace; None while that is not known. Patience may end it sooner."""
        if self.state != "running" or self.began is None or self.first_step is None or self.step <= self.first_step:
            return None
        return (now - self.began) / (self.step - self.first_step) * (self.steps - self.step)


def views_at_start(plan: Plan, done: Mapping[str, TrialState], records: Mapping[str, TrialRecord]) -> dict[str, TrialView]:
    """The views of a plan's trials, by fingerprint, as a launch finds them; ``done`` has the states of those that need no work."""
    return {
        trial.fingerprint: _at_start(trial, done.get(trial.fingerprint, "waiting"), records.get(trial.fingerprint))
        for trial in plan.trials
    }


def _at_start(trial: PlannedTrial, state: TrialState, record: TrialRecord | None) -> TrialView:
    view = TrialView(name=trial.name, steps=trial.recipe.steps, state=state)
    if record is not None and record.result is not None:
        return replace(view, step=record.result.steps_done, accuracy=_newest(record.result.curves.get("validation_accuracy", ())))
    if record is not None and record.progress is not None:
        return replace(
            view,
            step=record.progress.step,
            steps=record.progress.steps,
            accuracy=record.progress.metrics.get("validation_accuracy"),
        )
    return view


def _newest(curve: Sequence[tuple[int, float]]) -> float | None:
    return curve[-1][1] if curve else None


def sweep_seconds_left(views: Collection[TrialView], now: float) -> float | None:
    """Seconds until all trials are at the end of their budgets, at the pace that all running ones had together; None while unknown."""
    paced = [
        (view.step - view.first_step, view.began) for view in views if view.first_step is not None and view.began is not None
    ]
    made = sum(steps for steps, _ in paced)
    if made == 0:
        return None
    left = sum(view.steps - view.step for view in views if view.state in ("waiting", "running"))
    return (now - min(began for _, began in paced)) / made * left
