"""The tracker on a real SQLite store and a real server: what a user finds there, and what a second launch changes."""

from __future__ import annotations

import contextlib
import io
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from orchestrator.errors import TrackingError
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.mlflow_experiments import refuse_broken_file
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.shown_sweep import ShownTable, SweepContext, shown_sweep
from orchestrator.tracking.tracking_uri import artifact_root, default_address
from tests.orchestrator.tracking.tracked_sweep import (
    POINTS_A_TRIAL,
    TrackedSweep,
    curve_of,
    tiny_plan,
    tracked_sweep,
    write_record,
)

CONTEXT = SweepContext(git_commit="abc123", git_dirty=True, command="fsl run tiny.yaml")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> TrackingAddress:
    return default_address(tmp_path_factory.mktemp("runs"))


@pytest.fixture(params=["sqlite", "server"])
def uri(request: pytest.FixtureRequest) -> Iterator[TrackingAddress]:
    yield request.getfixturevalue(request.param)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A unique name of a sweep, and so of an experiment."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)


def tracker_on(uri: TrackingAddress, folder: Path) -> MlflowTracker:
    return MlflowTracker(uri, artifacts=artifact_root(folder), flush_seconds=0)


def launch(uri: TrackingAddress, folder: Path, sweep: TrackedSweep) -> MlflowTracker:
    """Launches a finished sweep."""
    tracker = tracker_on(uri, folder)
    tracker.begin(shown_sweep(sweep.plan, CONTEXT))
    for trial in sweep.trials:
        assert tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    table = folder / "table.csv"
    table.write_text("algorithm,reproduced\nprototypical,98.8\n")
    markdown = "| way | accuracy |\n|---|---|\n| 5 | 98.8 ± 0.1 |"
    tracker.finish(ShownTable(files=(table, folder / "absent.csv"), markdown=markdown, complete=True))
    return tracker


def runs_of(uri: TrackingAddress, name: str) -> tuple[Run, list[Run]]:
    """The parent run and the trials' runs of an experiment."""
    client = MlflowClient(tracking_uri=uri.whole)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY)
    (parent,) = [run for run in runs if run.data.tags["fsl.kind"] == "sweep"]
    return parent, [run for run in runs if run is not parent]


def history(uri: TrackingAddress, run: Run) -> list[tuple[str, int, int, float]]:
    """Every stored point of a run."""
    client = MlflowClient(tracking_uri=uri.whole)
    return sorted(
        (point.key, point.step, point.timestamp, point.value)
        for key in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, key)
    )


def files(uri: TrackingAddress, run: Run, runs_root: Path, folder: str = "") -> set[str]:
    """The names of a run's artifacts in a folder: as a server lists them, or in a database's runs folder."""
    if uri.is_server:
        found = MlflowClient(tracking_uri=uri.whole).list_artifacts(run.info.run_id, folder or None)
        return {PurePosixPath(item.path).name for item in found}
    return {path.name for path in (artifact_root(runs_root) / run.info.run_id / "artifacts" / folder).iterdir()}


def test_a_user_finds_everything(uri: TrackingAddress, name: str, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    tracker = launch(uri, tmp_path, sweep)
    parent, children = runs_of(uri, name)
    assert parent.info.status == "FINISHED"
    assert "98.8 ± 0.1" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["mlflow.source.git.commit"] == "abc123"
    assert files(uri, parent, tmp_path, "table") == {"table.csv"}
    assert {run.data.tags["fsl.fingerprint"]: run.info.run_id for run in children} == dict(tracker.run_ids())
    trial = sweep.trials[0]
    run = next(run for run in children if run.data.tags["fsl.fingerprint"] == trial.fingerprint)
    assert run.info.run_name == trial.full_name  # the same whatever stands beside it in this plan
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 60_000
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["fsl.cells"] == "; ".join(trial.cells)
    assert run.data.tags["mlflow.source.git.commit"].startswith("c0ffee")
    assert run.data.params["train_way"] == "5"
    assert run.data.metrics["test/accuracy_5way_1shot_3query_4episodes"] == pytest.approx(0.9)
    assert len(history(uri, run)) == POINTS_A_TRIAL
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["glyphs (glyphs)"]
    assert files(uri, run, tmp_path) == {"selected.pt", "result.json", "log.txt", "episode.png", "evaluations"}


def test_a_second_launch_changes_nothing(uri: TrackingAddress, name: str, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    launch(uri, tmp_path, sweep)
    before = {run.info.run_id: history(uri, run) for run in runs_of(uri, name)[1]}
    parent = runs_of(uri, name)[0]
    launch(uri, tmp_path, sweep)
    assert {run.info.run_id: history(uri, run) for run in runs_of(uri, name)[1]} == before
    assert len(before) == 4
    assert runs_of(uri, name)[0].info.run_id == parent.info.run_id


def test_a_repeated_sync_stores_no_duplicate_point(uri: TrackingAddress, name: str, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    launch(uri, tmp_path, sweep)
    run = runs_of(uri, name)[1][0]
    before = history(uri, run)
    MlflowClient(tracking_uri=uri.whole).set_tag(run.info.run_id, "fsl.synced", "lost")
    launch(uri, tmp_path, sweep)
    (again,) = [other for other in runs_of(uri, name)[1] if other.info.run_id == run.info.run_id]
    assert again.data.tags["fsl.synced"] not in ("lost", "")
    assert history(uri, again) == before
    assert len(again.inputs.dataset_inputs) == 1


def test_a_killed_driver_leaves_no_running_run_and_no_duplicate_point(uri: TrackingAddress, name: str, tmp_path: Path):
    sweep = TrackedSweep(tiny_plan(tmp_path, name), tracked_sweep(tmp_path / "elsewhere", name).store)
    first, second, *_ = sweep.trials
    killed = tracker_on(uri, tmp_path)
    killed.begin(shown_sweep(sweep.plan, CONTEXT))
    for trial in (first, second):
        killed.trial_started(trial)
        for step, metrics in curve_of(trial, (50, 100, 200)).items():
            killed.trial_progress(trial.fingerprint, step, metrics)
    assert {run.info.status for run in runs_of(uri, name)[1]} == {"RUNNING"}

    survivor = tracker_on(uri, tmp_path)
    survivor.begin(shown_sweep(sweep.plan, CONTEXT))
    assert {run.info.status for run in runs_of(uri, name)[1]} == {"KILLED"}
    survivor.trial_started(first)
    for step, metrics in curve_of(first, (100, 200, 300)).items():  # from the checkpoint at step 100
        survivor.trial_progress(first.fingerprint, step, metrics)
    write_record(sweep.store, first)
    survivor.sync_trial(first, sweep.record(first), sweep.store.paths(first.fingerprint))
    survivor.finish(None)

    parent, children = runs_of(uri, name)
    assert parent.info.status == "KILLED"
    by_trial = {run.data.tags["fsl.fingerprint"]: run for run in children}
    assert len(children) == len(by_trial) == 2
    assert by_trial[first.fingerprint].info.status == "FINISHED"
    assert by_trial[second.fingerprint].info.status == "KILLED"
    points = history(uri, by_trial[first.fingerprint])
    assert len({(key, step) for key, step, *_ in points}) == len(points) == POINTS_A_TRIAL + 3  # step 50, less its infinity
    assert max(value for *_, value in points) < 1e6


def test_an_empty_store_is_refilled_from_the_records(name: str, sqlite: TrackingAddress, server: TrackingAddress, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    launch(sqlite, tmp_path, sweep)
    launch(server, tmp_path, sweep)
    shown = [{run.info.run_name: history(uri, run) for run in runs_of(uri, name)[1]} for uri in (sqlite, server)]
    assert shown[0] == shown[1]
    assert len(shown[0]) == 4


def test_the_newer_of_duplicate_runs_is_deleted(uri: TrackingAddress, name: str, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    launch(uri, tmp_path, sweep)
    run = runs_of(uri, name)[1][0]
    client = MlflowClient(tracking_uri=uri.whole)
    tags = {key: run.data.tags[key] for key in ("fsl.kind", "fsl.fingerprint")}
    client.create_run(run.info.experiment_id, start_time=run.info.start_time + 1, tags=tags)
    assert len(runs_of(uri, name)[1]) == 5
    launch(uri, tmp_path, sweep)
    children = runs_of(uri, name)[1]
    assert len(children) == 4
    assert run.info.run_id in {child.info.run_id for child in children}


def test_a_narrowed_launch_keeps_runs_under_the_whole_sweep(sqlite: TrackingAddress, name: str, tmp_path: Path):
    whole = tracked_sweep(tmp_path, name)
    launch(sqlite, tmp_path, whole)
    parent, before = runs_of(sqlite, name)
    launch(sqlite, tmp_path, tracked_sweep(tmp_path, name, only=("distance=cosine",)))
    experiment = MlflowClient(tracking_uri=sqlite.whole).get_experiment_by_name(name)
    assert experiment is not None
    runs = MlflowClient(tracking_uri=sqlite.whole).search_runs([experiment.experiment_id])
    children = [run for run in runs if run.data.tags["fsl.kind"] == "trial"]
    assert len(children) == len(before)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len(runs) == len(children) + 2


def test_a_deleted_experiment_is_restored(sqlite: TrackingAddress, name: str, tmp_path: Path):
    sweep = tracked_sweep(tmp_path, name)
    launch(sqlite, tmp_path, sweep)
    client = MlflowClient(tracking_uri=sqlite.whole)
    client.delete_experiment(runs_of(sqlite, name)[0].info.experiment_id)
    launch(sqlite, tmp_path, sweep)
    assert len(runs_of(sqlite, name)[1]) == 4


def test_a_folder_with_an_unusual_name_can_hold_the_store(tmp_path: Path):
    runs = tmp_path / "rüns #1 50%41 of 'all'? & more"
    runs.mkdir()
    sweep = tracked_sweep(runs, "strange")
    launch(default_address(runs), runs, sweep)
    parent, children = runs_of(default_address(runs), "strange")
    assert (runs / "mlflow.db").is_file()
    assert files(default_address(runs), parent, runs, "table") == {"table.csv"}
    assert [path.name for path in tmp_path.iterdir()] == [runs.name]  # MLflow makes no folder for an address as it is written
    stored = runs / "mlartifacts" / children[0].info.run_id / "artifacts" / "selected.pt"
    assert stored.read_bytes() == b"weights"


def test_a_long_table_is_cut_with_a_note(sqlite: TrackingAddress, name: str, tmp_path: Path):
    tracker = tracker_on(sqlite, tmp_path)
    tracker.begin(shown_sweep(tiny_plan(tmp_path, name), CONTEXT))
    tracker.finish(ShownTable(files=(), markdown="| a row of the table | ± |\n" * 2000, complete=True))
    note = runs_of(sqlite, name)[0].data.tags["mlflow.note.content"]
    assert len(note) <= 8000
    assert "artifacts" in note.splitlines()[-1]
    assert set(note.splitlines()[:100]) == {"| a row of the table | ± |"}


def test_an_impossible_store_is_a_clear_error(tmp_path: Path):
    tracker = MlflowTracker(TrackingAddress("sqlite:////proc/no/such.db"), artifacts=tmp_path)
    with pytest.raises(TrackingError, match=r"MLflow at sqlite:////proc/no/such\.db did not take the sweep tiny"):
        tracker.begin(shown_sweep(tiny_plan(tmp_path), CONTEXT))


def test_a_password_is_not_shown(tmp_path: Path):
    tracker = MlflowTracker(TrackingAddress("http://someone:secret@127.0.0.1:9/"), artifacts=tmp_path)
    with pytest.raises(TrackingError) as caught:
        tracker.begin(shown_sweep(tiny_plan(tmp_path), CONTEXT))
    assert "secret" not in str(caught.value)
    assert "someone:***@127.0.0.1:9" in str(caught.value)


def test_creating_a_store_prints_nothing(tmp_path: Path):
    said = io.StringIO()
    seen = logging.StreamHandler(said)
    logging.getLogger().addHandler(seen)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            tracker_on(default_address(tmp_path), tmp_path).begin(shown_sweep(tiny_plan(tmp_path), CONTEXT))
    finally:
        logging.getLogger().removeHandler(seen)
    assert said.getvalue() == ""


def test_a_moved_runs_folder_works_and_nothing_is_written_to_its_old_place(tmp_path: Path):
    before, after = tmp_path / "before", tmp_path / "after"
    launch(default_address(before), before, tracked_sweep(before, "moved", runs="."))
    assert str(tmp_path).encode() not in (before / "mlflow.db").read_bytes()
    before.rename(after)
    children = runs_of(default_address(after), "moved")[1]
    launch(default_address(after), after, tracked_sweep(after, "moved", runs="."))
    assert not before.exists()
    assert {run.info.run_id for run in runs_of(default_address(after), "moved")[1]} == {run.info.run_id for run in children}
    assert all("selected.pt" in files(default_address(after), run, after) for run in children)


@pytest.mark.parametrize("was", ["active", "deleted"])
def test_an_experiment_with_artifacts_at_a_path_is_set_aside(tmp_path: Path, was: str):
    address, elsewhere = default_address(tmp_path), tmp_path / "elsewhere"
    client = MlflowClient(tracking_uri=address.whole)
    old = client.create_experiment("old", artifact_location=elsewhere.as_uri())
    run = client.create_run(old)
    if was == "deleted":
        client.delete_experiment(old)
    launch(address, tmp_path, tracked_sweep(tmp_path, "old"))
    assert len(runs_of(address, "old")[1]) == 4
    assert not elsewhere.exists()
    kept = client.get_experiment(old)
    assert (kept.name, kept.lifecycle_stage) == ("old (set aside 1)", "deleted")
    assert client.get_run(run.info.run_id).info.experiment_id == old


def test_a_process_checks_a_whole_store_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    statements: list[str] = []

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(statements.append)
        return connection

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", traced)
    for name in ("first", "second"):
        with contextlib.closing(connect(tmp_path / f"{name}.db")) as database:
            database.execute("CREATE TABLE something (a)")
        for _ in range(2):
            refuse_broken_file(TrackingAddress(f"sqlite:///{tmp_path}/{name}.db"))
    assert statements == ["PRAGMA quick_check(1)"] * 2


@pytest.mark.parametrize("damage", ["not a database", "a page"])
def test_a_broken_store_is_reported_with_a_remedy(tmp_path: Path, damage: str):
    sweep = tracked_sweep(tmp_path, "broken")
    file = tmp_path / "mlflow.db"
    if damage == "a page":
        launch(default_address(tmp_path), tmp_path, sweep)
        content = bytearray(file.read_bytes())
        content[8192:40960] = bytes(range(256)) * 128
        file.write_bytes(content)
    else:
        file.write_bytes(b"this is no database" * 100)
    with pytest.raises(TrackingError, match=r"mlflow\.db is broken \(.*move it away, and the next"):
        tracker_on(default_address(tmp_path), tmp_path).begin(shown_sweep(sweep.plan, CONTEXT))


def test_a_folder_in_place_of_the_store_is_reported_as_a_folder(tmp_path: Path):
    sweep = tracked_sweep(tmp_path, "folder")
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(TrackingError, match=r"mlflow\.db is broken \(it is a folder\): move it away, and the next"):
        tracker_on(default_address(tmp_path), tmp_path).begin(shown_sweep(sweep.plan, CONTEXT))
