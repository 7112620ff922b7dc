"""The attempts of one process at trials of one recipe with different seeds, which train together where that is faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from fsl_core.errors import StopRequested
from fsl_core.training.attempt import Attempt
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import SeedGroup, seed_groups
from fsl_core.training.trial import run_together


class HeldTrial(Protocol):
    """A trial whose folder this process alone works on. Every trial ends in one of ``done``, ``stopped`` and ``failed``."""

    def begin(self) -> tuple[Attempt, TrialResult | None]:
        """The attempt, and the result of the training where it is done."""

    def done(self, result: TrialResult) -> None:
        """Hear that the trial is trained, and scored unless it diverged."""

    def stopped(self, stop: StopRequested) -> None:
        """Hear that the attempt was stopped."""

    def failed(self, error: Exception) -> None:
        """Hear of the error that ended the attempt."""


@dataclass
class _Begun:
    trial: HeldTrial
    attempt: Attempt
    result: TrialResult | None


def attempt_all(trials: Sequence[HeldTrial]) -> None:
    """Train what is not trained, and score what is not scored. An error ends the trials that were training together, and no others."""
    begun = list[_Begun]()
    for trial in trials:
        with _ending([trial]):
            begun.append(_Begun(trial, *trial.begin()))
    untrained = {each.attempt.recipe.fingerprint: each for each in begun if each.result is None}
    groups = list[SeedGroup]()
    with _ending([each.trial for each in untrained.values()]):
        groups = seed_groups([each.attempt.trial() for each in untrained.values()])
    _score([each for each in begun if each.result is not None])
    for group in groups:
        trained = [untrained[trial.recipe.fingerprint] for trial in group]
        _train(group, trained)
        _score(trained)


def _train(group: SeedGroup, begun: Sequence[_Begun]) -> None:
    with _ending([each.trial for each in begun]):
        try:
            results = run_together(group)
        except StopRequested:
            for each in begun:
                each.attempt.books.stopped()
            raise
        for each, result in zip(begun, results, strict=True):
            with _ending([each.trial]):
                each.attempt.trained(result)
                each.result = result


def _score(begun: Sequence[_Begun]) -> None:
    for each in begun:
        if each.result is not None:
            with _ending([each.trial]):
                each.trial.done(each.attempt.score(each.result))


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
