"""The next command of a runs folder sends the backlog of a launch, and refills a lost store."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from orchestrator.launch.places import PlaceOptions, Places
from orchestrator.launch.trackers import launch_tracker
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.backlog import Backlog, BacklogSender
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.resilient import ResilientTracker
from orchestrator.tracking.shown_sweep import ShownTable, SweepContext, shown_sweep, shown_sweep_from_plain
from orchestrator.tracking.tracking_uri import artifact_root, default_address, store_key
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, tracked_sweep

TABLE = ShownTable(files=(), markdown="| the table |", complete=True)


def backlog_at(address: TrackingAddress, runs: Path) -> Backlog:
    return Backlog(runs, lambda: MlflowTracker(address, artifacts=artifact_root(runs)), store=store_key(address, runs))


def launch(address: TrackingAddress, runs: Path, sweep: TrackedSweep) -> list[str]:
    """Launches a finished sweep, and returns the notices."""
    notices: list[str] = []
    inner = MlflowTracker(address, artifacts=artifact_root(runs))
    tracker = ResilientTracker(inner, notices.append, backlog_at(address, runs), closing=120)
    tracker.begin(shown_sweep(sweep.plan, SweepContext(command="fsl run")))
    for trial in sweep.trials:
        tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    tracker.finish(TABLE)
    return notices


def shown(address: TrackingAddress) -> dict[str, tuple[int, set[str]]]:
    """The runs of each experiment, counted by state."""
    client = MlflowClient(tracking_uri=address.whole)
    found = {each.name: client.search_runs([each.experiment_id]) for each in client.search_experiments()}
    return {name: (len(runs), {run.info.status for run in runs}) for name, runs in found.items() if runs}


def table_of(address: TrackingAddress, sweep: str) -> str:
    """The table that the store shows of a sweep."""
    client = MlflowClient(tracking_uri=address.whole)
    experiment = client.get_experiment_by_name(sweep)
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`fsl.kind` = 'sweep'")
    return str(parent.data.tags["mlflow.note.content"])


def send(address: TrackingAddress, runs: Path) -> None:
    for _ in backlog_at(address, runs).steps():
        pass


def test_a_launch_of_another_sweep_sends_the_backlog(tmp_path: Path):
    runs = tmp_path / "runs"
    first = tracked_sweep(tmp_path, "first")
    (runs / "mlflow.db").write_bytes(b"this is no database" * 100)
    assert len(launch(default_address(runs), runs, first)) == 2
    (runs / "mlflow.db").unlink()
    assert launch(default_address(runs), runs, tracked_sweep(tmp_path, "second")) == []
    assert shown(default_address(runs)) == {"first": (5, {"FINISHED"}), "second": (5, {"FINISHED"})}


def test_no_store_receives_the_sweep_of_another(tmp_path: Path):
    runs = tmp_path / "runs"
    own, teams = default_address(runs), TrackingAddress(f"sqlite:///{tmp_path}/teams.db")
    private, public = tracked_sweep(tmp_path, "private"), tracked_sweep(tmp_path, "public")
    assert launch(own, runs, private) == launch(teams, runs, public) == []
    send(own, runs), send(teams, runs)
    assert (set(shown(own)), set(shown(teams))) == ({"private"}, {"public"})


def test_a_sweep_launched_on_two_stores_refills_both(tmp_path: Path):
    runs, sweep = tmp_path / "runs", tracked_sweep(tmp_path, "both")
    own, teams = default_address(runs), TrackingAddress(f"sqlite:///{tmp_path}/teams.db")
    outbox, whole = Outbox(runs), shown_sweep(sweep.plan, SweepContext())
    for address in (own, teams):
        outbox.write(replace(whole, store=store_key(address, runs)))
    send(own, runs), send(teams, runs)
    assert set(shown(own)) == set(shown(teams)) == {"both"}


def test_a_sweep_deleted_in_the_store_stays_deleted_until_its_next_launch(tmp_path: Path):
    runs, address = tmp_path / "runs", default_address(tmp_path / "runs")
    deleted = tracked_sweep(tmp_path, "deleted")
    launch(address, runs, deleted)
    client = MlflowClient(tracking_uri=address.whole)
    client.delete_experiment(client.get_experiment_by_name("deleted").experiment_id)
    launch(address, runs, tracked_sweep(tmp_path, "other"))
    assert set(shown(address)) == {"other"}
    launch(address, runs, deleted)
    assert set(shown(address)) == {"deleted", "other"}


@given(password=st.text("abcXYZ0189", min_size=1), other=st.text("abcXYZ0189", min_size=1))
def test_the_key_of_a_store_does_not_depend_on_its_password(password: str, other: str):
    keys = {store_key(TrackingAddress(f"https://me:{each}@team/"), Path("runs")) for each in (password, other)}
    assert keys == {store_key(TrackingAddress("https://me:***@team"), Path("runs"))}
    assert keys.isdisjoint({store_key(TrackingAddress("https://me:***@other"), Path("runs"))})


def test_a_runs_folders_own_store_has_one_key_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for whole in ("sqlite:///runs/mlflow.db", f"sqlite:///{tmp_path}/runs/mlflow.db", default_address(Path("runs")).whole):
        assert store_key(TrackingAddress(whole), Path("runs")) == "default"
    assert store_key(default_address(Path("other")), Path("runs")) != "default"


def test_a_launch_without_tracking_writes_no_store_and_fills_the_own_one_later(tmp_path: Path):
    runs, sweep, notices = tmp_path / "runs", tracked_sweep(tmp_path, "untracked"), list[str]()
    teams = TrackingAddress(f"sqlite:///{tmp_path}/teams.db")
    tracker = launch_tracker("none", Places.resolve(PlaceOptions(runs_root=runs, tracking_uri=teams.whole)), notices.append)
    tracker.begin(shown_sweep(sweep.plan, SweepContext(command="fsl run --no-tracking")))
    for trial in sweep.trials:
        tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    tracker.finish(TABLE)
    assert not (runs / "mlflow.db").exists() and not notices
    send(teams, runs), send(default_address(runs), runs)
    assert shown(default_address(runs)) == {"untracked": (5, {"FINISHED"})}
    assert table_of(default_address(runs), "untracked") == TABLE.markdown
    assert not (tmp_path / "teams.db").exists()


def test_a_lost_store_is_refilled_with_the_tables(tmp_path: Path):
    lost = tmp_path / "runs"
    launch(default_address(lost), lost, tracked_sweep(tmp_path, "first"))
    launch(default_address(lost), lost, tracked_sweep(tmp_path, "second"))
    before = shown(default_address(lost))
    runs = shutil.copytree(lost, tmp_path / "copy", ignore=shutil.ignore_patterns("mlflow.db"))
    address = default_address(runs)
    sender = BacklogSender(backlog_at(address, runs))
    sender.start()
    sender.wait()
    assert sender.error is None
    assert shown(address) == before
    assert table_of(address, "first") == TABLE.markdown
    assert list(backlog_at(address, runs).steps()) == ["looked at", "looked at"]


def test_a_killed_launch_is_sent_without_a_table(tmp_path: Path):
    runs, address, sweep = tmp_path / "runs", default_address(tmp_path / "runs"), tracked_sweep(tmp_path, "killed")
    Outbox(runs).write(shown_sweep(sweep.plan, SweepContext()))
    for _ in backlog_at(address, runs).steps():
        pass
    assert shown(address) == {"killed": (5, {"FINISHED", "KILLED"})}


def test_a_sweep_that_another_process_sends_is_skipped(tmp_path: Path):
    runs, sweep = tmp_path / "runs", tracked_sweep(tmp_path, "held")
    outbox, held = Outbox(runs), shown_sweep(sweep.plan, SweepContext())
    outbox.write(held)
    with outbox.held(outbox.path(held)) as mine, outbox.held(outbox.path(held)) as another:
        assert mine and not another
        assert list(backlog_at(default_address(runs), runs).steps()) == ["looked at"]


def test_a_sweep_is_read_as_it_was_written(tmp_path: Path):
    sweep = tracked_sweep(tmp_path, "written", only=("distance=cosine",))
    written = shown_sweep(sweep.plan, SweepContext(git_commit="abc", git_dirty=True, command="fsl run"))
    assert shown_sweep_from_plain(json.loads(json.dumps(written.as_plain()))) == written
    assert "distance: [squared_euclidean, cosine]" in written.document


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": 1}'])
def test_a_damaged_file_is_ignored(tmp_path: Path, content: str):
    path = tmp_path / "sweeps" / "damaged" / "mlflow" / "whole.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert list(backlog_at(default_address(tmp_path), tmp_path).steps()) == []
