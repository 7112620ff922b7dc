"""What a plan will take on so many slots. What is not known stays unknown."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.execution.compute import ONE_CPU, Compute
from orchestrator.launch.cost import CostBook
from orchestrator.launch.path_choices import NO_CHOICE, KnownPaths, PathChoice, path_choices
from orchestrator.launch.prediction import Prediction, predict
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.remembered import Machine
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import is_done
from orchestrator.sweep.plan import Plan

ASK_FROM_SECONDS = 1800.0
"""A launch that is predicted to take longer asks first,"""
ASK_FROM_TRIALS = 1000
"""and so does one of more trials."""


@dataclass(frozen=True, kw_only=True)
class StartUp:
    """Seconds beside the trials' own work: of a launch, such as Ray's start, MLflow's and the report; and of each trial's process."""

    launch: Span
    trial: Span


RAY_START = StartUp(launch=Span(low=10, likely=30, high=90), trial=Span(low=2, likely=5, high=12))
IN_PROCESS_START = StartUp(launch=Span(low=5, likely=12, high=40), trial=Span(low=0, likely=0.2, high=1))


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What each trial of a plan takes on ``machine``, by fingerprint, and which are done; ``slots`` is how many run at once.

    ``compute`` is what each takes of a machine. ``on_cluster``: the slots are a cluster's, each taken to be as fast as this machine.
    ``choices``: those of the trials' execution paths, on CUDA.
    """

    predictions: Mapping[str, Prediction]
    done: frozenset[str]
    slots: int
    start: StartUp
    machine: Machine
    compute: Compute = ONE_CPU
    on_cluster: bool = False
    choices: Mapping[str, PathChoice] = field(default_factory=dict)

    @property
    def left(self) -> Mapping[str, Prediction]:
        """The predictions of the trials that are not done."""
        return {name: prediction for name, prediction in self.predictions.items() if name not in self.done}

    @property
    def unknown(self) -> int:
        """How many of the trials that are not done are of unknown cost."""
        return sum(prediction.left is None for prediction in self.left.values())

    @property
    def all_unknown(self) -> bool:
        """Whether there is something to do and nothing is known of any of it."""
        return 0 < len(self.left) == self.unknown

    @property
    def known_seconds(self) -> Span:
        """How long the trials of known cost that are not done take together."""
        spans = [prediction.left for prediction in self.left.values() if prediction.left is not None]
        if not spans:
            return NOTHING
        each = {end: makespan([getattr(span, end) for span in spans], self.slots) for end in ("low", "likely", "high")}
        return self.start.launch + Span(**each)

    @property
    def total_seconds(self) -> Span | None:
        """How long all that is not done takes; None where the cost of some trial is unknown."""
        return None if self.unknown else self.known_seconds

    @property
    def earliest_seconds(self) -> float | None:
        """The same if patience ends every training as early as it can; None where that is unknown or changes nothing."""
        left = self.left.values()
        seconds = [prediction.earliest for prediction in left if prediction.earliest is not None]
        total = self.total_seconds
        if total is None or not seconds:
            return None
        earliest = self.start.launch.likely + makespan(seconds, self.slots)
        return earliest if earliest < total.likely else None

    @property
    def longest_first(self) -> Mapping[str, float]:
        """The seconds that are left of each trial, for ordering; a trial of unknown cost counts as the longest."""
        return {
            name: float("inf") if prediction.left is None else prediction.left.likely
            for name, prediction in self.predictions.items()
        }

    @property
    def asks_first(self) -> bool:
        """Whether a launch is large enough, or of so unknown a size, that its user is asked before it starts."""
        trials, seconds = len(self.left), self.known_seconds.likely
        return bool(self.unknown) or trials > ASK_FROM_TRIALS or seconds > ASK_FROM_SECONDS


def make_forecast(
    plan: Plan,
    records: Mapping[str, TrialRecord],
    book: CostBook,
    *,
    slots: int,
    start: StartUp,
    compute: Compute = ONE_CPU,
    on_cluster: bool = False,
    known: KnownPaths | None = None,
) -> Forecast:
    """What the trials of a plan take, as far as the book knows.

    ``records`` say what of them is done already, ``known`` which execution paths need no choice.
    """
    choices = path_choices(plan, records, book, known)
    predictions = {
        name: predict(trial, records[name], book, start=start.trial, choice=choices.get(name, NO_CHOICE))
        for trial in plan.trials
        for name in [trial.fingerprint]
    }
    return Forecast(
        predictions=predictions,
        done=done_trials(plan, records),
        slots=slots,
        start=start,
        machine=book.machine,
        compute=compute,
        on_cluster=on_cluster,
        choices=choices,
    )


def done_trials(plan: Plan, records: Mapping[str, TrialRecord]) -> frozenset[str]:
    """The fingerprints of the trials that need nothing more."""
    return frozenset(trial.fingerprint for trial in plan.trials if is_done(trial, records[trial.fingerprint]))


def makespan(seconds: Sequence[float], slots: int) -> float:
    """How long trials take on ``slots`` equal slots when the longest waiting one always starts next."""
    ends = [0.0] * max(slots, 1)
    for length in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)
