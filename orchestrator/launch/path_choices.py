"""The choice of execution paths on CUDA: its seconds, and how much shorter a training may be on a compiled path.

The first trial of each kind of step chooses, and may compile; later ones load the compiled code. On a CPU a choice takes a few steps and
is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.compiling import repays_compiling
from fsl_core.training.unit_work import step_bill
from orchestrator.launch.cost import CostBook
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan

CHOOSING = Span(low=5, likely=15, high=40)
"""Seconds to time the paths and to repeat short trainings on the fastest,"""
COMPILING = Span(low=45, likely=70, high=160)
"""to compile one of them,"""
LOADING = Span(low=3, likely=5, high=11)
"""and to load its code in a later process, as measured on the host of an H200 (docs/performance.md)."""
_SAME, _COMPILED = Span(low=1.0, likely=1.0, high=1.0), Span(low=0.5, likely=1.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class PathChoice:
    """``first``: the trial chooses the path of its kind of step. ``compiles``: the path may be compiled."""

    first: bool = False
    compiles: bool = False

    @property
    def seconds(self) -> Span:
        """The seconds before the first step."""
        if self.first:
            return CHOOSING + COMPILING if self.compiles else CHOOSING
        return LOADING if self.compiles else NOTHING

    @property
    def of_training(self) -> Span:
        """The share of a training's seconds on the usual path that it takes."""
        return _COMPILED if self.compiles else _SAME


NO_CHOICE = PathChoice()


def path_choices(plan: Plan, records: Mapping[str, TrialRecord], book: CostBook) -> Mapping[str, PathChoice]:
    """The choices before the trainings of a plan that are not begun, by fingerprint; none on a CPU.

    A kind of step that some trial began there, or that this code is known to have taken there, has its path.
    """
    if book.machine.device != "cuda":
        return {}
    begun = {name for name, record in records.items() if record.progress is not None or record.result is not None}
    chosen = {_kind(trial.recipe) for trial in plan.trials if _began_on(records[trial.fingerprint], book.machine.device)}
    choices = {}
    for trial in plan.trials:
        recipe, kind = trial.recipe, _kind(trial.recipe)
        training = book.training(recipe, book.steps(recipe))
        if not recipe.steps or trial.fingerprint in begun or training.basis == "earlier trials":
            continue
        compiles = training.seconds is not None and repays_compiling(training.seconds.likely)
        choices[trial.fingerprint] = PathChoice(first=kind not in chosen, compiles=compiles)
        chosen.add(kind)
    return choices


def _began_on(record: TrialRecord, device: str) -> bool:
    if record.result is None:
        return record.progress is not None
    return record.execution is not None and record.execution.device == device


def _kind(recipe: TrainingRecipe) -> object:
    return step_bill(recipe), recipe.meta_batch_size, recipe.steps
