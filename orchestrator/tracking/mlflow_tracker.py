"""Shows a sweep in MLflow. Only modules named ``mlflow_*`` import mlflow, and only when needed: the import takes seconds.

All calls use one client with an explicit address, never MLflow's global state. One process at a time writes a sweep's experiment; its
runs are found by their tags, so a later launch resumes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.errors import TrackingError
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking import run_tags
from orchestrator.tracking.cached_run import CachedRun
from orchestrator.tracking.mlflow_experiments import connect, open_experiment, refusals
from orchestrator.tracking.mlflow_run_writer import RunWriter
from orchestrator.tracking.recipe_params import recipe_params
from orchestrator.tracking.run_view import digest_of, grouped_files, run_view
from orchestrator.tracking.shown_sweep import ShownSweep, ShownTable


class MlflowTracker:
    """A sweep in MLflow: an experiment, a parent run for the sweep, a child run for each trial.

    Args:
        address: the tracking store's: a database or a server.
        artifacts: the absolute folder of a database's artifacts; a server chooses its own.
        flush_seconds: the least time between two transfers of a running trial's points.
    """

    def __init__(self, address: TrackingAddress, *, artifacts: Path, flush_seconds: float = 2.0) -> None:
        self.address = address
        self._artifacts = artifacts if address.is_database else None
        self._flush_seconds = flush_seconds
        self._runs: dict[str, CachedRun] = {}
        self._unsure = True

    def lacks(self, shown: ShownSweep) -> bool:
        """Whether the store lacks the confirmation of this launch; false where its experiment was deleted."""
        with self._refusals(f"say what it has of the sweep {shown.name}"):
            client = connect(self.address)
            found = client.get_experiment_by_name(shown.name)
            if found is None or found.lifecycle_stage == "deleted":
                return found is None
            confirmed = f"tags.`{run_tags.CONFIRMED}` = '{shown.digest}'"
            return not client.search_runs([found.experiment_id], confirmed, max_results=1)

    def open_place(self, shown: ShownSweep) -> None:
        """Create the sweep's experiment where it is missing."""
        with self._refusals(f"take the sweep {shown.name}"):
            open_experiment(connect(self.address), self.address, shown)

    def begin(self, shown: ShownSweep) -> None:
        """Open the store, the sweep's experiment and its parent run; a run that a dead driver left RUNNING becomes KILLED."""
        with self._refusals(f"take the sweep {shown.name}"):
            self._shown = shown
            client = connect(self.address)
            self._writer = RunWriter(client, open_experiment(client, self.address, shown), self._artifacts)
            self._parent = self._open_parent(self._find_runs())
            for trial in shown.trials:
                left = self._runs.get(trial.fingerprint)
                if left is not None and left.status == "RUNNING":
                    self._writer.end(left, "KILLED")

    def trial_started(self, trial: PlannedTrial) -> None:
        """Show a trial as running, in a new run if it has none."""
        with self._refusals(f"take the start of {trial.name}"):
            run = self._run_of(trial, None)
            self._writer.send(run, params=recipe_params(trial.recipe))
            if run.status != "RUNNING":
                self._writer.reopen(run)

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Add points to a running trial's curves. Points of a trial without a run are left to :meth:`sync_trial`."""
        run = self._runs.get(fingerprint)
        if run is not None and run.add_points(step, metrics, self._flush_seconds):
            with self._refusals("take points of a curve"):
                self._writer.send(run, points=run.take_waiting())

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        """Make a trial's run equal to its record, and return its id. Known values are not sent again."""
        with self._refusals(f"take {trial.name}"):
            view, writer = run_view(trial, record, paths), self._writer
            run = self._run_of(trial, view.started_ms)
            run.take_waiting()
            member, synced = run_tags.membership_tags(self._shown, trial, self._parent.run_id, run.tags), view.digest
            if run.tags.get(run_tags.SYNCED) == synced and run.status == view.status:
                writer.send(run, tags=member)
                return run.run_id
            writer.send(run, params=recipe_params(trial.recipe), points=view.points, tags=member)
            writer.send_dataset(run, view.dataset)
            writer.send_files(run, view.files)
            writer.end(run, view.status, view.finished_ms)
            writer.send(run, tags={**view.tags, run_tags.SYNCED: synced})  # last: an interrupted sync is repeated
            return run.run_id

    def finish(self, table: ShownTable | None) -> None:
        """Show the table in the parent run's description and its files as artifacts, and end every run that still runs."""
        with self._refusals("take the table"):
            for run in self._runs.values():
                self._writer.send(run, points=run.take_waiting())
                if run.status == "RUNNING":
                    self._writer.end(run, "KILLED")
            if table is not None:
                self._send_table(table)
            self._writer.end(self._parent, "FINISHED" if table is not None and table.complete else "KILLED")

    def _send_table(self, table: ShownTable) -> None:
        files = grouped_files(table.files)
        synced = digest_of([{name: file.digest for name, file in files.items()}, dict(table.summary), self._shown.document])
        if self._parent.tags.get(run_tags.SYNCED) != synced:
            self._writer.send_files(self._parent, files)
            self._writer.send_text(self._parent, f"{self._shown.name}.yaml", self._shown.document)
            self._writer.send_now(self._parent, table.summary)
        self._writer.send(self._parent, tags={run_tags.NOTE: run_tags.fitting(table.markdown), run_tags.SYNCED: synced})

    def confirm(self, shown: ShownSweep) -> None:
        """Confirm to the store that it has the whole launch. Call it last, if nothing was refused."""
        with self._refusals("take the end of the launch"):
            self._writer.send(self._parent, tags={run_tags.CONFIRMED: shown.digest})

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        return {fingerprint: run.run_id for fingerprint, run in self._runs.copy().items()}

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            with refusals(self.address, what):
                yield
        except TrackingError:
            self._unsure = True
            raise

    def _find_runs(self) -> dict[str, CachedRun]:
        """Read the experiment's runs. A lost answer can leave duplicate runs, of which the newer one is deleted."""
        runs: dict[str, CachedRun] = {}
        for run in self._writer.every_run():
            key = run_tags.identity(run.tags)
            if key is not None and runs.setdefault(key, run) is not run:
                self._writer.delete(run)
        self._runs = {key: run for key, run in runs.items() if run_tags.FINGERPRINT in run.tags}
        self._unsure = False
        return runs

    def _open_parent(self, found: Mapping[str, CachedRun]) -> CachedRun:
        mark = run_tags.sweep_tags(self._shown)
        tags = mark | run_tags.provenance_tags(self._shown.context)
        parent = found.get(str(run_tags.identity(mark)))
        if parent is None:
            name = " ".join([self._shown.name, *self._shown.overrides])
            return self._writer.create(name[:200], tags)
        self._writer.reopen(parent)
        self._writer.send(parent, tags=tags)
        return parent

    def _run_of(self, trial: PlannedTrial, started_ms: int | None) -> CachedRun:
        if trial.fingerprint not in self._runs and self._unsure:
            self._find_runs()  # a refused call may still have created the run
        run = self._runs.get(trial.fingerprint)
        if run is None:
            tags = run_tags.trial_tags(self._shown, trial) | run_tags.provenance_tags(self._shown.context)
            tags |= run_tags.membership_tags(self._shown, trial, self._parent.run_id, {})
            run = self._writer.create(trial.full_name, tags, started_ms)
            self._runs[trial.fingerprint] = run
        return run
