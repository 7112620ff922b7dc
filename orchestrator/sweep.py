"""The driver: finds what a sweep lacks, has it run, keeps the views of it up to date, writes the table."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from fsl_core.provenance import running_code
from orchestrator.driver_lock import driver_lock
from orchestrator.errors import ExecutorError
from orchestrator.execution.executor import Executor
from orchestrator.execution.job import ENDS, TrialEvent, TrialJob
from orchestrator.folder import REFUSALS
from orchestrator.launches import check_name_is_free, no_launch_begins, record_launch
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.progress import SweepView
from orchestrator.records import TrialRecord
from orchestrator.signals import stopping_signals
from orchestrator.store import Store
from orchestrator.terminal import leave_lost_terminal
from orchestrator.tracking.shown_sweep import ShownTable, SweepContext, shown_sweep
from orchestrator.tracking.summary import summary_metrics
from orchestrator.tracking.tracker import Tracker
from orchestrator.trial_state import is_done, trial_state

Reporter = Callable[[Plan, Mapping[str, TrialRecord], bool], tuple[Sequence[Path], str]]
"""Writes the table and its files from the records, complete or not; returns the files and the table in Markdown."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a sweep is run here. ``device`` is ``cpu`` or ``cuda``; ``gpus`` the share of a GPU that each trial sets aside.

    ``replace`` takes the sweep's name over from another sweep file.
    """

    runs_root: Path
    data_root: Path | None
    cache_root: Path
    device: str = "cpu"
    threads: int = 1
    gpus: float = 0.0
    command: str | None = None
    replace: bool = False


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """How a launch ended: the records of all trials, the fingerprints computed in it, those that failed, whether it was stopped.

    ``broken`` says why the executor gave up, where it did; what it left undone counts as interrupted. ``unwritten`` says why the table's
    files could not be written, where they could not: the trials are not concerned.
    """

    records: Mapping[str, TrialRecord]
    computed: tuple[str, ...]
    failed: tuple[str, ...]
    interrupted: bool
    complete: bool
    files: tuple[Path, ...]
    broken: str | None = None
    unwritten: str | None = None


def sweep_folder(runs_root: Path, plan: Plan) -> Path:
    """Where a sweep keeps its lock, its stop file and the table as it stands."""
    return runs_root / "sweeps" / plan.spec.name


def run_sweep(
    plan: Plan,
    options: RunOptions,
    *,
    executor: Executor,
    tracker: Tracker,
    view: SweepView,
    reporter: Reporter,
    predicted_seconds: Callable[[PlannedTrial], float] = lambda trial: 0.0,
) -> SweepOutcome:
    """Compute what the plan lacks, the longest trials first; launched again, it goes on where it stopped.

    What it wants is put on record before any trial starts.

    The first SIGINT, SIGTERM or SIGHUP writes checkpoints and stops; a second SIGINT or SIGTERM stops at once. Under ``nohup``, which
    has SIGHUP ignored, it stays ignored.

    Raises:
        SweepLockedError: another driver holds the sweep.
        SweepNameError: the sweep's name is another sweep file's here.
        StoreError: the runs folder cannot be written to.
    """
    store = Store(options.runs_root)
    store.check_writable()
    folder = sweep_folder(options.runs_root, plan)
    with driver_lock(folder):
        with no_launch_begins(folder.parent):
            if not options.replace:
                check_name_is_free(folder, plan)
            record_launch(folder, plan)
        stop_file = folder / "stop"
        stop_file.unlink(missing_ok=True)
        code = running_code()
        launch = _Launch(plan, store, tracker, view)
        launch.begin(SweepContext(git_commit=code.git_commit, git_dirty=code.git_dirty, command=options.command))
        if code.git_problem:
            view.notice(f"no commit is recorded: {code.git_problem}")
        todo = [trial for trial in plan.trials if not is_done(trial, launch.records[trial.fingerprint])]
        todo.sort(key=predicted_seconds, reverse=True)
        jobs = [_job(trial, options, stop_file, code.code_digest) for trial in todo]
        broken = None
        try:
            with _stopping(stop_file, view):
                if jobs:
                    executor.run(jobs, on_event=launch.event, on_phase=view.phase)
        except ExecutorError as error:
            broken = str(error)
        finally:
            view.stop()
        return launch.finish(reporter, todo, interrupted=stop_file.exists(), broken=broken)


def _job(trial: PlannedTrial, options: RunOptions, stop_file: Path, code_digest: str) -> TrialJob:
    return TrialJob(
        recipe=trial.recipe,
        evaluations=trial.evaluations,
        runs_root=options.runs_root,
        data_root=options.data_root,
        cache_root=options.cache_root,
        stop_file=stop_file,
        code_digest=code_digest,
        device=options.device,
        threads=options.threads,
        gpus=options.gpus,
    )


class _Launch:
    """One launch of a sweep: turns events into what the tracker and the view are told."""

    def __init__(self, plan: Plan, store: Store, tracker: Tracker, view: SweepView) -> None:
        self.plan, self.store, self.tracker, self.view = plan, store, tracker, view
        self.trials = {trial.fingerprint: trial for trial in plan.trials}
        self.records = store.records(self.trials)

    def begin(self, context: SweepContext) -> None:
        done = {
            name: trial_state(self.trials[name], record, held=False)
            for name, record in self.records.items()
            if is_done(self.trials[name], record)
        }
        self.view.start(self.plan, done, self.records)
        for path in self.store.damaged:
            self.view.notice(f"{path} is damaged and taken as missing")
        self.tracker.begin(shown_sweep(self.plan, context))
        for fingerprint in done:
            self._sync(fingerprint)

    def event(self, event: TrialEvent) -> None:
        if event.kind == "notice":
            self.view.notice(f"{event.fingerprint} {self.trials[event.fingerprint].name}: {event.message}")
            return
        self.view.event(event)
        if event.kind == "started":
            self.tracker.trial_started(self.trials[event.fingerprint])
        elif event.kind == "progress":
            self.tracker.trial_progress(event.fingerprint, event.step, event.metrics)
        elif event.kind in ENDS:
            self.records[event.fingerprint] = self.store.read(event.fingerprint)
            self._sync(event.fingerprint)

    def _sync(self, fingerprint: str) -> None:
        self.tracker.sync_trial(self.trials[fingerprint], self.records[fingerprint], self.store.paths(fingerprint))

    def finish(self, reporter: Reporter, todo: Sequence[PlannedTrial], *, interrupted: bool, broken: str | None) -> SweepOutcome:
        records = self.store.records(self.trials)
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


@contextmanager
def _stopping(stop_file: Path, view: SweepView) -> Iterator[None]:
    """Inside the block the first SIGINT, SIGTERM or SIGHUP makes the stop file, which every worker watches.

    A further one raises, but for SIGHUP: a terminal that closes may send it twice, by the kernel and by the shell.
    """

    def stop(signal_number: int, frame: FrameType | None) -> None:
        leave_lost_terminal()
        if stop_file.exists():
            if signal_number == signal.SIGHUP:
                return
            raise KeyboardInterrupt
        try:
            stop_file.touch()
        except OSError as error:  # without it no worker would hear of the stop
            raise KeyboardInterrupt from error
        view.notice("stopping: running trials write their checkpoints; once more stops at once")

    previous: dict[int, Any] = {}
    try:
        for number in stopping_signals():
            previous[number] = signal.signal(number, stop)
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
