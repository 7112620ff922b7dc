"""Probes of what never ran here, within bounds: the kinds of trials that train most first, a minute or two in all.

What was probed while the machine was busy is probed again once it is quiet.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fsl_core.listeners import Advance
from fsl_core.recipe.matmul_precision import device_has
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.launch.cost import CostBook
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import is_done
from orchestrator.sweep.plan import Plan, PlannedTrial

MOST_KINDS = 50
ENOUGH_SECONDS = 120.0
"""After so many seconds of wall clock no further kind is begun."""

Measure = Callable[[UnitWork], Timing]
Keep = Callable[[Mapping[UnitWork, Timing]], None]


@dataclass(frozen=True)
class UnknownKind:
    """Trials that lack the same units of work; ``images`` is how many they train on together, each counted as often as it is seen."""

    works: tuple[UnitWork, ...]
    images: float


def unknown_kinds(plan: Plan, records: Mapping[str, TrialRecord], book: CostBook) -> list[UnknownKind]:
    """The kinds of trials of whose remaining work the book lacks something, those that have to train on most images first.

    Work that the book's device cannot do at all is not among it.
    """
    images: dict[tuple[UnitWork, ...], float] = {}
    for trial, record in _to_do(plan, records):
        lacking = book.unknown_work(trial.recipe, _missing(trial, record), trained=record.result is not None)
        if works := tuple(work for work in lacking if device_has(book.machine.device, work.matmul_precision)):
            images[works] = images.get(works, 0.0) + (0.0 if record.result else _images_of(trial))
    return sorted((UnknownKind(*each) for each in images.items()), key=lambda kind: -kind.images)


def busy_works(plan: Plan, records: Mapping[str, TrialRecord], book: CostBook) -> list[UnitWork]:
    """The units of the remaining work that are known by a probe on a busy machine alone."""
    works: dict[UnitWork, None] = {}
    for trial, record in _to_do(plan, records):
        works |= dict.fromkeys(book.busy_work(trial.recipe, _missing(trial, record), trained=record.result is not None))
    return list(works)


def probe(
    kinds: Sequence[UnknownKind],
    book: CostBook,
    measure: Measure,
    *,
    progress: Advance,
    most: int = MOST_KINDS,
    enough: float = ENOUGH_SECONDS,
    keep: Keep,
) -> None:
    """Measure what the first ``most`` kinds lack, for ``enough`` seconds; ``keep`` gets what was measured, also of a probing cut short.

    ``progress`` receives the number of kinds that are done and the total.
    """
    began, wanted = time.monotonic(), kinds[:most]
    with _kept(keep) as probed:
        for number, kind in enumerate(wanted):
            for work in kind.works:
                if time.monotonic() - began > enough:
                    return
                if work not in probed:
                    probed[work] = measure(work)
                    book.probed(work, probed[work])
            progress(number + 1, len(wanted))


def probe_again(
    works: Sequence[UnitWork], book: CostBook, measure: Measure, *, enough: float = ENOUGH_SECONDS, keep: Keep
) -> None:
    """Measure again what was measured on a busy machine, until some unit finds it busy still: that is all that a busy machine costs."""
    began = time.monotonic()
    with _kept(keep) as probed:
        for work in works:
            if time.monotonic() - began > enough:
                return
            probed[work] = measure(work)
            book.probed(work, probed[work])
            if probed[work].busy:
                return


@contextmanager
def _kept(keep: Keep) -> Iterator[dict[UnitWork, Timing]]:
    """What the block has measured is kept at its end, however it ends."""
    probed: dict[UnitWork, Timing] = {}
    try:
        yield probed
    finally:
        if probed:
            keep(probed)


def _to_do(plan: Plan, records: Mapping[str, TrialRecord]) -> Iterator[tuple[PlannedTrial, TrialRecord]]:
    """The trials that are not done, and what is known of each."""
    for trial in plan.trials:
        record = records[trial.fingerprint]
        if not is_done(trial, record):
            yield trial, record


def _missing(trial: PlannedTrial, record: TrialRecord) -> list[Evaluation]:
    return [evaluation for evaluation in trial.evaluations if evaluation.fingerprint not in record.evaluations]


def _images_of(trial: PlannedTrial) -> float:
    recipe = trial.recipe
    return math.prod((recipe.steps, recipe.meta_batch_size, recipe.episode.way, recipe.episode.images_per_class))
