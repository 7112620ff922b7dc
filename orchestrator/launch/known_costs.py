"""The cost book of this machine, filled from the records under the runs root, from remembered probes, and from new ones."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fsl_core.code_digest import step_code_digest
from fsl_core.listeners import Notice
from fsl_core.provenance import running_code
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.launch.callbacks import ProgressDisplay
from orchestrator.launch.cost import CostBook
from orchestrator.launch.probing import (
    ENOUGH_SECONDS,
    MOST_KINDS,
    Measure,
    UnknownKind,
    busy_works,
    probe,
    probe_again,
    unknown_kinds,
)
from orchestrator.records.remembered import NOTHING_REMEMBERED, Machine, RememberedProbes
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan


@dataclass(frozen=True, kw_only=True)
class KnownCosts:
    """How costs are found out. ``fresh`` leaves aside what earlier trials and probes took; without ``measure`` nothing is probed."""

    store: Store
    machine: Machine
    measure: Measure | None
    fresh: bool
    notice: Notice
    shown_progress: ProgressDisplay

    def book(self, plan: Plan, records: Mapping[str, TrialRecord]) -> CostBook:
        """What is known of the costs of a plan; what nothing is known of is probed where that is wanted."""
        probes = self._remembered_probes()
        book = CostBook(self.machine, NOTHING_REMEMBERED if self.fresh else probes.read(), running_code().code_digest)
        if not self.fresh:
            self._learn(book, records)
        if self.measure is not None:
            busy = busy_works(plan, records, book)  # before the new probes: what they find busy waits for the next command
            self._probe(unknown_kinds(plan, records, book), book, probes, self.measure)
            self._probe_again(busy, book, probes, self.measure)
        return book

    def _remembered_probes(self) -> RememberedProbes:
        path, now = self.store.runs_root / "cost.json", datetime.datetime.now(datetime.UTC)
        return RememberedProbes(path, machine=self.machine, code=step_code_digest(), now=now)

    def _learn(self, book: CostBook, records: Mapping[str, TrialRecord]) -> None:
        """Learn from every trial under the runs root; those of the plan have just been read."""
        names = [folder.name for folder in self.store.folders()]
        book.learn(records[name] if name in records else self.store.read(name) for name in names)

    def _probe(self, kinds: Sequence[UnknownKind], book: CostBook, probes: RememberedProbes, measure: Measure) -> None:
        if not kinds:
            return
        what = (
            f"{min(len(kinds), MOST_KINDS)} kinds of trials that this code never ran here"
            if len(kinds) > 1
            else "a kind of trial"
        )
        self.notice(f"timing single steps of {what}, for at most {ENOUGH_SECONDS:.0f} s; --no-probe leaves that out")

        with self.shown_progress("kinds of trials timed") as progress:
            probe(kinds, book, measure, progress=progress, keep=functools.partial(self._remember, probes))

    def _probe_again(self, works: Sequence[UnitWork], book: CostBook, probes: RememberedProbes, measure: Measure) -> None:
        if works:
            self.notice(
                "timing again what was timed while this machine was busy, as long as it is quiet; --no-probe leaves that out"
            )
            probe_again(works, book, measure, keep=functools.partial(self._remember, probes))

    def _remember(self, probes: RememberedProbes, measured: Mapping[UnitWork, Timing]) -> None:
        try:
            probes.write(measured)
        except OSError as error:  # whoever may not write here may still look
            self.notice(f"the times are not remembered: {self.store.runs_root} cannot be written to ({error.strerror})")
