"""What one trial takes: its seconds, part by part, its memory and its disk. What is not known stays unknown."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import cached_property

from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.unit_work import earliest_end
from orchestrator.launch.cost import FREE, Basis, Cost, CostBook, together
from orchestrator.launch.footprint import disk_bytes, memory_bytes
from orchestrator.launch.path_choices import NO_CHOICE, PathChoice
from orchestrator.launch.span import Span
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import is_done
from orchestrator.sweep.plan import PlannedTrial


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the seconds of a trial are made of.

    ``start_up``: of its process. ``choice``: of its execution path, on CUDA, with the compilation of its steps. ``training``: the steps,
    with the validations between them. ``evaluations``: the scoring of the trained network.
    """

    start_up: Cost
    choice: Cost = FREE
    training: Cost = FREE
    evaluations: Cost = FREE

    @cached_property
    def work(self) -> Cost:
        """All but the start-up."""
        return together([self.choice, self.training, self.evaluations])

    @cached_property
    def whole(self) -> Cost:
        """All of it."""
        return together([self.start_up, self.work])


_NO_PARTS = Parts(start_up=FREE)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The seconds of one trial, of all of it and of what is not done yet.

    ``earliest``: of what is left if patience ends the training as early as it can.
    """

    of_all: Parts
    of_the_rest: Parts
    earliest: float | None
    memory_bytes: int
    disk_bytes: int

    @property
    def whole(self) -> Span | None:
        """All of it; None where some part is unknown."""
        return self.of_all.whole.seconds

    @property
    def left(self) -> Span | None:
        """What is not done yet; None where some part is unknown."""
        return self.of_the_rest.whole.seconds

    @property
    def basis(self) -> Basis:
        """Where the least sure part of the whole was learnt."""
        return self.of_all.whole.basis

    @property
    def left_basis(self) -> Basis:
        """Where the least sure part of what is left was learnt."""
        return self.of_the_rest.whole.basis


def predict(
    trial: PlannedTrial, record: TrialRecord, book: CostBook, *, start: Span, choice: PathChoice = NO_CHOICE
) -> Prediction:
    """What one trial takes, whole and from where it stands; ``choice`` is what it does before its first step."""
    recipe, steps = trial.recipe, book.steps(trial.recipe)
    begin = functools.partial(Parts, start_up=Cost(start, "earlier trials"), choice=Cost(choice.seconds, "earlier trials"))
    evaluations = {each.fingerprint: book.evaluation(recipe, each) for each in trial.evaluations}
    scoring = together(list(evaluations.values()))
    rest = early = _NO_PARTS
    if not is_done(trial, record):
        missing = together([cost for name, cost in evaluations.items() if name not in record.evaluations])
        left = functools.partial(begin, evaluations=missing)
        rest = left(training=_training_left(book, recipe, record, steps))
        soonest = Span.of([min(steps.likely, earliest_end(recipe))])
        early = left(training=_training_left(book, recipe, record, soonest))
    return Prediction(
        of_all=begin(training=book.training(recipe, steps), evaluations=scoring),
        of_the_rest=rest,
        earliest=early.whole.seconds.likely if early.whole.seconds else None,
        memory_bytes=memory_bytes(recipe),
        disk_bytes=disk_bytes(trial),
    )


def _training_left(book: CostBook, recipe: TrainingRecipe, record: TrialRecord, steps: Span) -> Cost:
    """What is left of a training that ends after ``steps`` steps."""
    if record.result is not None:
        return FREE
    reached = 0 if record.progress is None or recipe.retrain else record.progress.step  # of which of two trainings is not known
    return book.training(recipe, _less(steps, reached))


def _less(steps: Span, done: float) -> Span:
    return Span(low=max(0.0, steps.low - done), likely=max(0.0, steps.likely - done), high=max(0.0, steps.high - done))
