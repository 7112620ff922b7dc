"""Writes runs through MLflow's client. Known values are not sent again, and values sent twice are stored once."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.tracking.cached_run import CachedRun
from orchestrator.tracking.run_view import DatasetView, FileView, Point

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class RunWriter:
    """The runs of one experiment. ``artifacts`` is a database's folder of artifacts; None where a server receives them."""

    client: MlflowClient
    experiment_id: str
    artifacts: Path | None

    def every_run(self) -> Iterator[CachedRun]:
        """Every run of the experiment, oldest first, a thousand per query."""
        token: str | None = None
        while True:
            order = ["attributes.start_time ASC", "attributes.run_id ASC"]
            page = self.client.search_runs([self.experiment_id], max_results=1000, order_by=order, page_token=token)
            yield from [_known(run) for run in page]
            token = page.token
            if not token:
                return

    def delete(self, run: CachedRun) -> None:
        """Delete a run."""
        self.client.delete_run(run.run_id)

    def create(self, name: str, tags: Mapping[str, str], started_ms: int | None = None) -> CachedRun:
        """Create a run, with the status RUNNING."""
        return _known(self.client.create_run(self.experiment_id, start_time=started_ms, tags=dict(tags), run_name=name))

    def reopen(self, run: CachedRun) -> None:
        """Show a run as running again."""
        self.client.update_run(run.run_id, status="RUNNING")
        run.status = "RUNNING"

    def end(self, run: CachedRun, status: str, finished_ms: int | None = None) -> None:
        """End a run with a status."""
        self.client.set_terminated(run.run_id, status, finished_ms)
        run.status = status

    def send(
        self,
        run: CachedRun,
        *,
        params: Mapping[str, str] | None = None,
        points: Iterable[Point] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Send in one call the parameters that the run lacks, points, and the tags that it lacks or has with another value.

        MLflow cannot change a parameter, and a recipe's never change. It stores equal points once, so a point's time must be the same
        each time it is sent.
        """
        from mlflow.entities import Metric, Param, RunTag

        missing, changed = run.missing_params(params or {}), run.changed_tags(tags or {})
        metrics = [Metric(point.metric, point.value, run.started_ms + point.step, point.step) for point in points]
        if missing or metrics or changed:
            self.client.log_batch(
                run.run_id,
                metrics=metrics,
                params=[Param(*param) for param in missing.items()],
                tags=[RunTag(*tag) for tag in changed.items()],
                synchronous=True,
            )
            run.params.update(missing)
            run.tags.update(changed)

    def send_dataset(self, run: CachedRun, dataset: DatasetView | None) -> None:
        """Show the images that a run was trained on."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if dataset is None or run.has_dataset:
            return
        images = Dataset(name=dataset.name, digest=dataset.digest, source_type="local", source=dataset.source)
        tag = InputTag(key="mlflow.data.context", value="meta_train, meta_validation, meta_test")
        self.client.log_inputs(run.run_id, datasets=[DatasetInput(dataset=images, tags=[tag])])
        run.has_dataset = True

    def send_files(self, run: CachedRun, files: Mapping[str, FileView]) -> None:
        """Show files as a run's artifacts."""
        for name, file in files.items():
            if self.artifacts is None:
                folder = str(PurePosixPath(name).parent)
                self.client.log_artifact(run.run_id, str(file.path), None if folder == "." else folder)
            else:
                place = self.artifacts / run.run_id / "artifacts" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.path, place)

    def send_text(self, run: CachedRun, name: str, text: str) -> None:
        """Show a text as an artifact, unless it is empty."""
        if text:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                path.write_text(text, encoding="utf-8")
                self.send_files(run, {name: FileView(path, "")})

    def send_now(self, run: CachedRun, metrics: Mapping[str, float]) -> None:
        """Show metrics without a step; MLflow shows the newest."""
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        if metrics:
            points = [Metric(name, value, now, 0) for name, value in metrics.items()]
            self.client.log_batch(run.run_id, metrics=points, synchronous=True)


def _known(run: Run) -> CachedRun:
    return CachedRun(
        run_id=run.info.run_id,
        started_ms=run.info.start_time,
        status=run.info.status,
        tags=dict(run.data.tags),
        params=set(run.data.params),
        has_dataset=bool(run.inputs and run.inputs.dataset_inputs),
    )
