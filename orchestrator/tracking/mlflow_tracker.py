"""Shows a sweep in MLflow. The only module that imports mlflow, and only once a sweep begins: the import takes seconds.

Everything goes through one client with an explicit address, never through MLflow's global state. One driver at a time writes a
sweep's experiment; its runs are found again by their tags, so a later launch goes on with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.errors import TrackingError
from orchestrator.plan import Plan, PlannedTrial
from orchestrator.records import TrialRecord
from orchestrator.store import TrialPaths
from orchestrator.tracking import run_tags
from orchestrator.tracking.address import TrackingAddress
from orchestrator.tracking.client_settings import prepare_client
from orchestrator.tracking.known_run import KnownRun
from orchestrator.tracking.run_view import DatasetView, FileView, Point, digest_of, file_views, flat_params, run_view
from orchestrator.tracking.tracker import SweepContext

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


class MlflowTracker:
    """A sweep in MLflow: an experiment, a parent run for the sweep, a child run for each trial.

    Args:
        address: the tracking store's: a database or a server.
        artifacts: the absolute folder of the artifacts when the store is a database; a server decides itself.
        flush_seconds: a running trial's points are sent together, at most this often.
    """

    def __init__(self, address: TrackingAddress, *, artifacts: Path, flush_seconds: float = 2.0) -> None:
        self.address = address
        self._artifacts = artifacts
        self._flush_seconds = flush_seconds
        self._runs: dict[str, KnownRun] = {}
        self._unsure = True

    def begin(self, plan: Plan, context: SweepContext) -> None:
        """Open the store, the sweep's experiment and its parent run; a run that a dead driver left RUNNING becomes KILLED."""
        with self._refusals(f"the sweep {plan.spec.name}"):
            self._spec, self._context = plan.spec, context
            self._client = _connect(self.address)
            self._experiment_id = self._open_experiment(plan.spec.name)
            self._parent = self._open_parent(self._find_runs())
            for trial in plan.trials:
                left = self._runs.get(trial.fingerprint)
                if left is not None and left.status == "RUNNING":
                    self._end(left, "KILLED")

    def trial_started(self, trial: PlannedTrial) -> None:
        """Show a trial as running; the first time, this makes its run."""
        with self._refusals(f"the start of {trial.name}"):
            run = self._run_of(trial, None)
            if run.status != "RUNNING":
                self._reopen(run)

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Add points to a running trial's curves. Points of a trial that was never started wait for :meth:`sync_trial`."""
        run = self._runs.get(fingerprint)
        if run is not None and run.add_points(step, metrics, self._flush_seconds):
            with self._refusals("points of a curve"):
                self._send_points(run, run.take_waiting())

    def sync_trial(
        self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths, pictures: Sequence[Path] = ()
    ) -> str | None:
        """Make a trial's run equal to its record, and return its id. What was sent before is not sent again."""
        with self._refusals(trial.name):
            view = run_view(trial, record, paths, pictures)
            run = self._run_of(trial, view.started_ms)
            run.take_waiting()
            self._set_tags(run, run_tags.membership_tags(self._spec, trial, self._parent.run_id, run.tags))
            synced = view.digest
            if run.tags.get(run_tags.SYNCED) == synced and run.status == view.status:
                return run.run_id
            self._send_params(run, trial)
            self._send_points(run, view.points)
            self._send_dataset(run, view.dataset)
            self._send_files(run, view.files)
            self._set_tags(run, view.tags)
            self._end(run, view.status, view.finished_ms)
            self._set_tags(run, {run_tags.SYNCED: synced})  # last: a sync that broke off is done again
            return run.run_id

    def finish(self, table_files: Sequence[Path], table_markdown: str, complete: bool) -> None:
        """Show the table in the parent run's description and its files as artifacts, and end every run that still runs."""
        with self._refusals("the table"):
            for run in self._runs.values():
                self._send_points(run, run.take_waiting())
                if run.status == "RUNNING":
                    self._end(run, "KILLED")
            files = file_views(table_files, "table/")
            synced = digest_of({name: file.digest for name, file in files.items()})
            if self._parent.tags.get(run_tags.SYNCED) != synced:
                self._send_files(self._parent, files)
            self._set_tags(self._parent, {run_tags.NOTE: run_tags.fitting(table_markdown), run_tags.SYNCED: synced})
            self._end(self._parent, "FINISHED" if complete else "KILLED")

    def run_ids(self) -> Mapping[str, str]:
        """The ids of the runs known so far, by the fingerprint of their trial."""
        return {fingerprint: run.run_id for fingerprint, run in self._runs.copy().items()}

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Whatever MLflow raises, of its many kinds, is one error for our caller."""
        try:
            yield
        except Exception as error:
            self._unsure = True
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise TrackingError(self.address.redact(f"MLflow at {self.address} did not take {what}: {reason}")) from error

    def _open_experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = self._artifacts.as_uri() if self.address.is_database else None
            return str(self._client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _find_runs(self) -> dict[str, KnownRun]:
        """Read the experiment's runs. An answer lost on its way can leave two runs of the same thing: the younger is deleted."""
        runs: dict[str, KnownRun] = {}
        for run in self._every_run():
            key = run_tags.identity(run.tags)
            if key is not None and runs.setdefault(key, run) is not run:
                self._client.delete_run(run.run_id)
        self._runs = {key: run for key, run in runs.items() if run_tags.FINGERPRINT in run.tags}
        self._unsure = False
        return runs

    def _every_run(self) -> Iterator[KnownRun]:
        """Every run of the experiment, oldest first, a thousand a query."""
        token: str | None = None
        while True:
            order = ["attributes.start_time ASC", "attributes.run_id ASC"]
            page = self._client.search_runs([self._experiment_id], max_results=1000, order_by=order, page_token=token)
            yield from [_known(run) for run in page]
            token = page.token
            if not token:
                return

    def _open_parent(self, found: Mapping[str, KnownRun]) -> KnownRun:
        mark = run_tags.sweep_tags(self._spec)
        tags = mark | run_tags.provenance_tags(self._context)
        parent = found.get(str(run_tags.identity(mark)))
        if parent is None:
            name = " ".join([self._spec.name, *self._spec.overrides])
            return self._create(name[:200], tags)
        self._reopen(parent)
        self._set_tags(parent, tags)
        return parent

    def _run_of(self, trial: PlannedTrial, started_ms: int | None) -> KnownRun:
        if trial.fingerprint not in self._runs and self._unsure:
            self._find_runs()  # a refused call may have made the run all the same
        run = self._runs.get(trial.fingerprint)
        if run is None:
            tags = run_tags.trial_tags(self._spec, trial) | run_tags.provenance_tags(self._context)
            tags |= run_tags.membership_tags(self._spec, trial, self._parent.run_id, {})
            run = self._create(trial.full_name, tags, started_ms)
            self._runs[trial.fingerprint] = run
            self._send_params(run, trial)
        return run

    def _create(self, name: str, tags: dict[str, str], started_ms: int | None = None) -> KnownRun:
        return _known(self._client.create_run(self._experiment_id, start_time=started_ms, tags=tags, run_name=name))

    def _reopen(self, run: KnownRun) -> None:
        self._client.update_run(run.run_id, status="RUNNING")
        run.status = "RUNNING"

    def _end(self, run: KnownRun, status: str, finished_ms: int | None = None) -> None:
        self._client.set_terminated(run.run_id, status, finished_ms)
        run.status = status

    def _send_params(self, run: KnownRun, trial: PlannedTrial) -> None:
        """Parameters cannot change in MLflow, and a recipe's never do: only those not there yet are sent."""
        from mlflow.entities import Param

        missing = run.missing_params(flat_params(trial.recipe))
        if missing:
            self._client.log_batch(run.run_id, params=[Param(*param) for param in missing.items()], synchronous=True)
            run.params.update(missing)

    def _send_points(self, run: KnownRun, points: Iterable[Point]) -> None:
        """MLflow stores a point once when all of it is equal, so the time too must be the same each time it is sent."""
        from mlflow.entities import Metric

        metrics = [Metric(point.metric, point.value, run.started_ms + point.step, point.step) for point in points]
        if metrics:
            self._client.log_batch(run.run_id, metrics=metrics, synchronous=True)

    def _send_dataset(self, run: KnownRun, dataset: DatasetView | None) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if dataset is None or run.has_dataset:
            return
        images = Dataset(name=dataset.name, digest=dataset.digest, source_type="local", source=dataset.source)
        tag = InputTag(key="mlflow.data.context", value="meta_train, meta_validation, meta_test")
        self._client.log_inputs(run.run_id, datasets=[DatasetInput(dataset=images, tags=[tag])])
        run.has_dataset = True

    def _send_files(self, run: KnownRun, files: Mapping[str, FileView]) -> None:
        for name, file in files.items():
            folder = str(PurePosixPath(name).parent)
            self._client.log_artifact(run.run_id, str(file.path), None if folder == "." else folder)

    def _set_tags(self, run: KnownRun, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        changed = run.changed_tags(tags)
        if changed:
            self._client.log_batch(run.run_id, tags=[RunTag(*tag) for tag in changed.items()], synchronous=True)
            run.tags.update(changed)


def _connect(address: TrackingAddress) -> MlflowClient:
    """A client that is quiet and gives up soon. Only the first call in a process pays for the import."""
    prepare_client()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=address.whole)


def _known(run: Run) -> KnownRun:
    return KnownRun(
        run_id=run.info.run_id,
        started_ms=run.info.start_time,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=set(run.data.params),
        has_dataset=bool(run.inputs and run.inputs.dataset_inputs),
    )
