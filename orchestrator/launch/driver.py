"""The driver: finds what a sweep lacks, has it run, keeps the views of it up to date, writes the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fsl_core.provenance import running_code
from orchestrator.counted import counted
from orchestrator.errors import ExecutorError, StoreError, SweepLockedError
from orchestrator.execution.executor import Executor
from orchestrator.execution.job import ENDS, TrialEvent, TrialJob
from orchestrator.launch.episode_pictures import EpisodePictures
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.jobs import LaunchOptions, trial_jobs
from orchestrator.launch.launch_times import LaunchClock, LaunchTimes
from orchestrator.launch.launches import check_name_is_free, no_launch_begins, record_launch, record_times
from orchestrator.launch.sweep_view import SweepView
from orchestrator.process.signals import stop_file_on_signals
from orchestrator.records.driver_lock import driver_lock
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import is_done, trial_state
from orchestrator.sweep.folder import REFUSALS
from orchestrator.sweep.plan import Plan, PlannedTrial
from orchestrator.tracking.shown_sweep import ShownTable, SweepContext, shown_sweep
from orchestrator.tracking.summary import summary_metrics
from orchestrator.tracking.tracker import Tracker

Reporter = Callable[[Plan, Mapping[str, TrialRecord], bool], tuple[Sequence[Path], str]]
"""Writes the table and its files from the records, complete or not; returns the files and the table in Markdown."""


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """How a launch ended: the records of all trials, the fingerprints computed in it, those that failed, whether it was stopped.

    ``broken`` says why the executor gave up, where it did; what it left undone counts as interrupted. ``unwritten`` says why the table's
    files could not be written, where they could not: the trials are not concerned. ``times`` is what the launch took beside what was
    predicted; None where nothing was to do or nothing was predicted.
    """

    records: Mapping[str, TrialRecord]
    computed: tuple[str, ...]
    failed: tuple[str, ...]
    interrupted: bool
    complete: bool
    files: tuple[Path, ...]
    broken: str | None = None
    unwritten: str | None = None
    times: LaunchTimes | None = None


def sweep_folder(runs_root: Path, plan: Plan) -> Path:
    """Where a sweep keeps its lock, its stop file and the table as it stands."""
    return runs_root / "sweeps" / plan.spec.name


def run_sweep(
    plan: Plan,
    options: LaunchOptions,
    *,
    executor: Executor,
    tracker: Tracker,
    view: SweepView,
    reporter: Reporter,
    expected: Forecast | None = None,
) -> SweepOutcome:
    """Compute what the plan lacks, the longest trials first by what is ``expected``; launched again, it resumes.

    What it wants is put on record before any trial starts, and what it took at its end.

    The first SIGINT, SIGTERM or SIGHUP writes checkpoints and stops; a second SIGINT or SIGTERM stops at once. Under ``nohup``, which
    has SIGHUP ignored, it stays ignored.

    Raises:
        SweepLockedError: another driver holds the sweep.
        SweepNameError: the sweep's name is another sweep file's here.
        StoreError: the runs folder cannot be written to.
    """
    places, store = options.places, Store(options.places.runs_root)
    store.check_writable()
    folder, clock = sweep_folder(places.runs_root, plan), LaunchClock(expected) if expected else None
    with driver_lock(folder):
        _put_on_record(folder, plan, replace=options.replace)
        stop_file, code = folder / "stop", running_code()
        stop_file.unlink(missing_ok=True)
        pictures = EpisodePictures(data_root=places.data_root, cache_root=places.cache_root, notice=view.notice)
        launch = _Launch(plan, store, tracker, view, clock, pictures)
        launch.begin(SweepContext(git_commit=code.git_commit, git_dirty=code.git_dirty, command=options.command))
        if code.git_problem:
            view.notice(f"no commit is recorded: {code.git_problem}")
        todo = _todo(plan, launch.records, expected)
        jobs = trial_jobs(todo, options, stop_file=stop_file, code_digest=code.code_digest)
        if clock is not None:
            clock.jobs = {trial.fingerprint: job.fingerprint for job in jobs for trial in job.trials}
        broken = _computed(jobs, executor, launch, stop_file)
        outcome = launch.finish(reporter, todo, interrupted=stop_file.exists(), broken=broken)
        return _timed(outcome, clock, folder, plan, view)


def _put_on_record(folder: Path, plan: Plan, *, replace: bool) -> None:
    """Record what the launch wants, under a name that is free or that it takes over."""
    with no_launch_begins(folder.parent):
        if not replace:
            check_name_is_free(folder, plan)
        record_launch(folder, plan)


def _todo(plan: Plan, records: Mapping[str, TrialRecord], expected: Forecast | None) -> list[PlannedTrial]:
    """The trials that are not done: first those that lack only scores, then the longest first where something is expected of them."""
    todo = [trial for trial in plan.trials if not is_done(trial, records[trial.fingerprint])]
    if expected is not None:
        longest_first = expected.longest_first
        todo.sort(key=lambda trial: longest_first[trial.fingerprint], reverse=True)
    todo.sort(key=lambda trial: records[trial.fingerprint].result is None)
    return todo


def _computed(jobs: Sequence[TrialJob], executor: Executor, launch: _Launch, stop_file: Path) -> str | None:
    """Run the jobs until all have ended or a signal stops them; returns why the executor gave up, where it did."""
    try:
        with stop_file_on_signals(stop_file, launch.view.notice):
            if jobs:
                executor.run(jobs, on_event=launch.event, on_phase=launch.view.phase)
    except ExecutorError as error:
        return str(error)
    finally:
        launch.view.stop()
    return None


def _timed(outcome: SweepOutcome, clock: LaunchClock | None, folder: Path, plan: Plan, view: SweepView) -> SweepOutcome:
    """The outcome with its times, which are put on record; that they cannot be concerns no trial."""
    times = None if clock is None else clock.times(outcome.records)
    if times is None:
        return outcome
    try:
        with no_launch_begins(folder.parent):
            record_times(folder, plan, times)
    except (OSError, SweepLockedError, StoreError) as error:
        view.notice(f"what the launch took is not on record: {error}")
    return dataclasses.replace(outcome, times=times)


@dataclass
class _Launch:
    """One launch of a sweep: passes its events on to the tracker and the view."""

    plan: Plan
    store: Store
    tracker: Tracker
    view: SweepView
    clock: LaunchClock | None
    pictures: EpisodePictures

    @cached_property
    def trials(self) -> Mapping[str, PlannedTrial]:
        """The plan's trials by fingerprint."""
        return {trial.fingerprint: trial for trial in self.plan.trials}

    @cached_property
    def records(self) -> dict[str, TrialRecord]:
        """What is known of each trial, as of its last event."""
        return dict(self.store.records(self.trials))

    def begin(self, context: SweepContext) -> None:
        done = {
            name: trial_state(self.trials[name], record, held=False)
            for name, record in self.records.items()
            if is_done(self.trials[name], record)
        }
        self.view.start(self.plan, done, self.records)
        self._say_other_code(done)
        for path in self.store.damaged:
            self.view.notice(f"{path} is damaged and taken as missing")
        self.tracker.begin(shown_sweep(self.plan, context))
        self.pictures.draw_missing((self.trials[name], self.records[name], self.store.paths(name).picture) for name in done)
        for fingerprint in done:
            self._sync(fingerprint)

    def _say_other_code(self, done: Mapping[str, str]) -> None:
        """Say how many finished trials other code computed, where today's code computes others of the same table."""
        makers = [execution.code_digest for name in done if (execution := self.records[name].execution)]
        others = sum(maker not in (None, running_code().code_digest) for maker in makers)
        if others and len(done) < len(self.plan.trials):
            self.view.notice(
                f"{counted(others, 'finished trial')} of this sweep: computed by other code than the trials of this launch"
            )

    def event(self, event: TrialEvent) -> None:
        if event.kind == "notice":
            self.view.notice(f"{event.fingerprint} {self.trials[event.fingerprint].name}: {event.message}")
            return
        self.view.event(event)
        if self.clock is not None:
            self.clock.event(event)
        if event.kind == "started":
            self.tracker.trial_started(self.trials[event.fingerprint])
        elif event.kind == "progress":
            self.tracker.trial_progress(event.fingerprint, event.step, event.metrics)
        elif event.kind in ENDS:
            self.records[event.fingerprint] = self.store.read(event.fingerprint)
            if event.kind == "finished":
                name = event.fingerprint
                self.pictures.draw(self.trials[name], self.records[name], self.store.paths(name).picture)
            self._sync(event.fingerprint)

    def _sync(self, fingerprint: str) -> None:
        self.tracker.sync_trial(self.trials[fingerprint], self.records[fingerprint], self.store.paths(fingerprint))

    def finish(self, reporter: Reporter, todo: Sequence[PlannedTrial], *, interrupted: bool, broken: str | None) -> SweepOutcome:
        records = self.store.records(self.trials) if todo else self.records
        done = {name for name, record in records.items() if is_done(self.trials[name], record)}
        complete = len(done) == len(self.trials)
        self.view.phase("the table, its exports and its figures are being written")
        files, markdown, unwritten = _reported(reporter, self.plan, records, complete)
        written = complete and unwritten is None
        summary = summary_metrics(self.plan, records)
        try:
            self.tracker.finish(ShownTable(files=tuple(files), markdown=markdown, complete=written, summary=summary))
        except KeyboardInterrupt:  # all else is done: what MLflow lacks is sent by the next command
            self.view.notice("MLflow is not waited for; the next `fsl run` or `fsl ui` sends the rest")
        asked = [trial.fingerprint for trial in todo]
        return SweepOutcome(
            records=records,
            computed=tuple(name for name in asked if name in done),
            failed=tuple(name for name in asked if name not in done and not interrupted and broken is None),
            interrupted=(interrupted or broken is not None) and not complete,
            broken=broken,
            complete=complete,
            files=tuple(files),
            unwritten=unwritten,
        )


def _reported(
    reporter: Reporter, plan: Plan, records: Mapping[str, TrialRecord], complete: bool
) -> tuple[Sequence[Path], str, str | None]:
    """The table's files and text; or why the file system refused them, which concerns no trial and is made good by the next launch."""
    try:
        return *reporter(plan, records, complete), None
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        unwritten = f"{error.strerror}: {error.filename or 'one of them'}"
        return (), f"The table could not be written ({unwritten}).", unwritten
