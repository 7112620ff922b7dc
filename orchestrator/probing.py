"""Probes of what never ran here, within bounds: the kinds of trials that train most first, a minute or two in all."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fsl_core.training.unit_work import UnitWork
from orchestrator.cost import CostBook
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import TrialRecord
from orchestrator.trial_state import is_done

MOST_KINDS = 50
ENOUGH_SECONDS = 120.0
"""After so many seconds of wall clock no further kind is begun."""

Measure = Callable[[UnitWork], Sequence[float]]


@dataclass(frozen=True)
class UnknownKind:
    """Trials that lack the same units of work; ``images`` is how many they train on together, each counted as often as it is seen."""

    works: tuple[UnitWork, ...]
    images: float


def unknown_kinds(plan: Plan, records: Mapping[str, TrialRecord], book: CostBook) -> list[UnknownKind]:
    """The kinds of trials of whose remaining work the book lacks something, those that have to train on most images first."""
    images: dict[tuple[UnitWork, ...], float] = {}
    for trial in plan.trials:
        record = records[trial.fingerprint]
        if works := () if is_done(trial, record) else _unknown_work(trial, record, book):
            images[works] = images.get(works, 0.0) + (0.0 if record.result else _images_of(trial))
    return sorted((UnknownKind(*each) for each in images.items()), key=lambda kind: -kind.images)


def probe(
    kinds: Sequence[UnknownKind],
    book: CostBook,
    measure: Measure,
    *,
    progress: Callable[[int, int], None],
    most: int = MOST_KINDS,
    enough: float = ENOUGH_SECONDS,
    keep: Callable[[Mapping[UnitWork, Sequence[float]]], None],
) -> None:
    """Measure what the first ``most`` kinds lack, for ``enough`` seconds; ``keep`` gets what was measured, also of a probing cut short.

    ``progress`` is told how many kinds are done, of how many.
    """
    began, probed, wanted = time.monotonic(), dict[UnitWork, Sequence[float]](), kinds[:most]
    try:
        for number, kind in enumerate(wanted):
            for work in kind.works:
                if time.monotonic() - began > enough:
                    return
                if work not in probed:
                    probed[work] = measure(work)
                    book.probed(work, probed[work])
            progress(number + 1, len(wanted))
    finally:
        if probed:
            keep(probed)


def _unknown_work(trial: PlannedTrial, record: TrialRecord, book: CostBook) -> tuple[UnitWork, ...]:
    missing = [evaluation for evaluation in trial.evaluations if evaluation.fingerprint not in record.evaluations]
    return book.unknown_work(trial.recipe, missing, trained=record.result is not None)


def _images_of(trial: PlannedTrial) -> float:
    recipe = trial.recipe
    return math.prod((recipe.steps, recipe.meta_batch_size, recipe.episode.way, recipe.episode.images_per_class))
