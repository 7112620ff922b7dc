"""A sweep with its plan, its places, and what the runs folder already holds of it: where every command about a sweep begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.counted import counted
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.images import can_have_images, fallback_text, images_are_here
from orchestrator.launch.places import Places
from orchestrator.records.store import Store
from orchestrator.records.trial_edition import earlier_editions_text
from orchestrator.records.trial_lock import is_held
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import TrialState, trial_state
from orchestrator.sweep.plan import Plan, PlannedTrial, build_plan
from orchestrator.sweep.spec import SweepSpec, with_dataset

MANY_TRIALS = 5_000
"""Planning more trials takes seconds, and is announced."""


@dataclass(frozen=True, repr=False)
class Workspace:
    """The plan in force, the places, and the store."""

    plan: Plan
    places: Places
    store: Store
    callbacks: Callbacks = field(default=Callbacks(), compare=False)

    @cached_property
    def records(self) -> Mapping[str, TrialRecord]:
        """What is known of the plan's trials, by fingerprint, as of the first look.

        A warning names damaged records, and counts unsealed ones and the trials of earlier editions.
        """
        records, warn = self.store.records([trial.fingerprint for trial in self.plan.trials]), self.callbacks.warn
        for path in self.store.damaged:
            warn(f"{path} is damaged and taken as missing")
        if unsealed := sum(bool(record.unsealed) for record in records.values()):
            warn(
                f"{counted(unsealed, 'trial')} with records from before records carried their own digest: an edit would not show"
            )
        if notice := earlier_editions_text(self.earlier_trials, self.places.runs_root):
            warn(notice)
        return records

    @cached_property
    def earlier_trials(self) -> Mapping[str, int]:
        """The trials of earlier editions of the recipes in the runs folder, of whatever sweep, and the edition of each."""
        return self.store.of_earlier_editions()

    def state(self, trial: PlannedTrial) -> TrialState:
        """What a trial of the plan is doing."""
        return trial_state(trial, self.records[trial.fingerprint], held=is_held(self.store.paths(trial.fingerprint).lock))

    def anew(self) -> Workspace:
        """The same workspace, which looks at the records again."""
        return Workspace(self.plan, self.places, self.store, self.callbacks)

    def __repr__(self) -> str:
        return f"<workspace of {self.plan.spec.name}: {counted(len(self.plan.trials), 'trial')}, in {self.places.runs_root}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Sweep:
    """A sweep that is loaded: what it asks for, its places, and who hears what commands do with it.

    Attributes:
        spec: the sweep file, overrides included.
        places: where commands read and write.
        callbacks: what is called meanwhile.
    """

    spec: SweepSpec
    places: Places
    callbacks: Callbacks = field(default=Callbacks(), compare=False)

    def workspace(self) -> Workspace:
        """The workspace to look at. Nothing is written; images that would have to be downloaded count as missing."""
        return self._open(lambda: images_are_here(self.spec, self.places))

    def open_for_launch(self) -> Workspace:
        """The workspace to compute in. Where the sweep has a fallback data set its own images are prepared first, if they can be.

        Raises:
            FolderError: a folder cannot be written to.
        """
        self.places.check_writable(finished=None if self.spec.overrides else self.spec.name)
        return self._open(lambda: can_have_images(self.spec, self.places, self.callbacks))

    def _open(self, has_images: Callable[[], bool]) -> Workspace:
        spec = self.spec
        if len(spec.cells) * len(spec.seeds) > MANY_TRIALS:
            self.callbacks.notice(f"planning {len(spec.cells):,} cells, seeds {', '.join(map(str, spec.seeds))}")
        plan, store = build_plan(spec), Store(self.places.runs_root)
        if spec.fallback_dataset and not _has_results(plan, store) and not has_images():
            plan = build_plan(with_dataset(spec, spec.fallback_dataset))
            self.callbacks.warn(fallback_text(spec, self.places))
        return Workspace(plan, self.places, store, self.callbacks)

    def __repr__(self) -> str:
        spec = self.spec
        return f"<sweep {spec.name}: {counted(len(spec.cells), 'cell')}, seeds {', '.join(map(str, spec.seeds))}>"


def _has_results(plan: Plan, store: Store) -> bool:
    """Whether some trial of the plan has a result: then its images were there, and its numbers are the ones to show."""
    return any(record.result is not None for record in store.records([trial.fingerprint for trial in plan.trials]).values())
