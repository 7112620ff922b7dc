"""The attempts of one process at trials of one recipe with different seeds, which train together where that is faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from fsl_core.errors import ExecutionPathError, StopRequested
from fsl_core.training.attempt import Attempt
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import SeedGroup, begun_trial, seed_groups
from fsl_core.training.trial import run_together
from fsl_core.training.trial_run import BegunTrial


class HeldTrial(Protocol):
    """A trial whose folder this process alone works on. Every trial ends in one of ``done``, ``stopped`` and ``failed``."""

    def begin(self) -> tuple[Attempt, TrialResult | None] | None:
        """The attempt, and the result of the training where it is done; None where nothing is missing, after ``done``."""

    def done(self, result: TrialResult) -> None:
        """Hear that the trial is trained, and scored unless it diverged."""

    def stopped(self, stop: StopRequested) -> None:
        """Hear that the attempt was stopped. Raises nothing."""

    def failed(self, error: Exception) -> None:
        """Hear of the error that ended the attempt. Raises nothing."""


@dataclass
class _Begun:
    trial: HeldTrial
    attempt: Attempt
    result: TrialResult | None
    to_train: BegunTrial | None = None


def attempt_all(trials: Sequence[HeldTrial]) -> None:
    """Train what is not trained, and score what is not scored.

    An error of a trial's own ends that trial, one of a training those that were training together, and no other.
    """
    begun = list[_Begun]()
    for trial in trials:
        with _ending([trial]):
            if (began := trial.begin()) is not None:
                begun.append(_Begun(trial, *began))
    _score([each for each in begun if each.result is not None])
    for group in _groups([each for each in begun if each.result is None]):
        _train(*group)
        _score(group[1])


def _groups(untrained: Sequence[_Begun]) -> list[tuple[SeedGroup, list[_Begun]]]:
    """The groups that train together, each with its attempts in the same order."""
    for each in untrained:
        with _ending([each.trial]):
            each.to_train = begun_trial(each.attempt.trial())
    by_folder = {each.attempt.paths.folder: each for each in untrained if each.to_train is not None}
    groups = list[SeedGroup]()
    with _ending_attempts(list(by_folder.values())):
        groups = seed_groups([each.to_train for each in by_folder.values() if each.to_train is not None])
    return [(group, [by_folder[trial.run.folder] for trial in group]) for group in groups]


def _train(group: SeedGroup, begun: Sequence[_Begun]) -> None:
    with _ending_attempts(begun):
        if _stops(begun):
            raise StopRequested("stopped before the training")
        results = _trained(group, begun)
        for each, result in zip(begun, results, strict=True):
            with _ending([each.trial]):
                each.attempt.trained(result)
                each.result = result


def _trained(group: SeedGroup, begun: Sequence[_Begun]) -> list[TrialResult]:
    try:
        return run_together(group)
    except ExecutionPathError as error:
        if group[0].path.compiled and _stops(begun):  # an interrupt from the terminal ends the compiler's processes too
            raise StopRequested("stopped while its step was compiled") from error
        raise


def _score(begun: Sequence[_Begun]) -> None:
    for each in begun:
        if each.result is not None:
            with _ending([each.trial]):
                each.trial.done(each.attempt.score(each.result))


def _stops(begun: Sequence[_Begun]) -> bool:
    return any(each.attempt.should_stop() for each in begun)


@contextmanager
def _ending_attempts(begun: Sequence[_Begun]) -> Iterator[None]:
    """Whatever ends the block ends these trials; the books of each have a stop."""
    with _ending([each.trial for each in begun]):
        try:
            yield
        except StopRequested:
            for each in begun:
                each.attempt.books.stopped()
            raise


@contextmanager
def _ending(trials: Sequence[HeldTrial]) -> Iterator[None]:
    """Whatever ends the block ends these trials."""
    try:
        yield
    except StopRequested as stop:
        for trial in trials:
            trial.stopped(stop)
    except Exception as error:
        for trial in trials:
            trial.failed(error)
