"""What a launch took, beside what was predicted of it, for the trials of that launch alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from fsl_core.provenance import now
from orchestrator.execution.job import ENDS, EventKind, TrialEvent
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.record_values import Count, Seconds, Time
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.trial_record import TrialRecord

Apart = Literal["diverged", "stopped", "failed", "not begun", "of unknown cost", "computed elsewhere"]
"""Why a trial is not compared: it ended before what was predicted, nothing was predicted, or another launch did its work meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Uncompared:
    """Some trials that are not compared, and the seconds that they took in this launch."""

    why: Apart
    trials: Count
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class LaunchTimes:
    """The times of a launch that had something to do, from its beginning to its end (ISO, UTC).

    ``trials`` were finished in it, ``by_patience`` of them before their budget's end. ``trial_seconds`` is what they took here, one after
    the other, of training and scoring: of a resumed one the rest alone, of one whose worker died all attempts, of none the start-up of
    its process. ``predicted_trial_seconds`` was predicted of the same trials and of the same work. ``wall_seconds`` is from the launch's
    beginning to its end, ``predicted_wall_seconds`` what was predicted of all that was to do; None where some trial's cost was unknown.
    """

    began: Time
    ended: Time
    slots: Count
    trials: Count
    by_patience: Count
    trial_seconds: Seconds
    predicted_trial_seconds: Span
    wall_seconds: Seconds
    predicted_wall_seconds: Span | None
    uncompared: tuple[Uncompared, ...] = ()


@dataclass
class LaunchClock:
    """Hears the events of a launch, and knows in the end what its trials took. ``clock`` gives monotonic seconds.

    ``jobs`` names the job of each trial: trials of one job share the seconds of its process.
    """

    expected: Forecast
    clock: Callable[[], float] = time.monotonic
    began_at: str = field(default_factory=now)
    jobs: Mapping[str, str] = field(default_factory=dict)
    began: float = field(init=False)
    _running: dict[str, set[str]] = field(default_factory=dict)
    _counted: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _ends: dict[str, EventKind] = field(default_factory=dict)
    _worked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def event(self, event: TrialEvent) -> None:
        """Take in what happened to a trial."""
        name = event.fingerprint
        job = self.jobs.get(name, name)
        running = self._running.setdefault(job, set())
        if event.kind == "started":
            self._count(job)
            running.add(name)
            self._seconds.setdefault(name, 0.0)
        elif event.kind in ("progress", "scoring"):
            self._worked.add(name)
        elif event.kind in ENDS:
            self._count(job)
            running.discard(name)
            self._ends[name] = event.kind

    def _count(self, job: str) -> None:
        """Divide the seconds since the last count among the trials of a job that run."""
        seconds = self.clock() - self._counted.get(job, 0.0)
        self._counted[job] = self.clock()
        for name in self._running[job]:
            self._seconds[name] += seconds / len(self._running[job])

    def times(self, records: Mapping[str, TrialRecord]) -> LaunchTimes | None:
        """The times of the launch, which is over; ``records`` are those of its end. None where there was nothing to do."""
        if not self.expected.left:
            return None
        for job in self._running:
            self._count(job)
        why = {name: self._why_apart(name) for name in self.expected.left}
        compared = [name for name, reason in why.items() if reason is None]
        return LaunchTimes(
            began=self.began_at,
            ended=now(),
            slots=self.expected.slots,
            trials=len(compared),
            by_patience=sum(_by_patience(records.get(name)) for name in compared),
            trial_seconds=self._sum(compared),
            predicted_trial_seconds=self._predicted(compared),
            wall_seconds=self.clock() - self.began,
            predicted_wall_seconds=self.expected.total_seconds,
            uncompared=tuple(
                Uncompared(why=reason, trials=len(names), seconds=self._sum(names))
                for reason in get_args(Apart)
                if (names := [name for name, its in why.items() if its == reason])
            ),
        )

    def _why_apart(self, name: str) -> Apart | None:
        """Why a trial is not compared; None where it is."""
        end = self._ends.get(name)
        if end == "diverged" or end == "failed":
            return end
        if end != "finished":
            return "stopped" if name in self._seconds else "not begun"
        if name not in self._worked:
            return "computed elsewhere"
        return "of unknown cost" if self.expected.left[name].of_the_rest.work.seconds is None else None

    def _sum(self, names: Sequence[str]) -> float:
        return sum(self._seconds.get(name, 0.0) for name in names)

    def _predicted(self, names: Sequence[str]) -> Span:
        spans = (self.expected.left[name].of_the_rest.work.seconds for name in names)
        return sum((span for span in spans if span is not None), NOTHING)


def _by_patience(record: TrialRecord | None) -> bool:
    return record is not None and record.result is not None and record.result.stopped_by == "patience"
