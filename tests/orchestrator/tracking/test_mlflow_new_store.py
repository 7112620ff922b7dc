"""The file of an SQLite store appears whole or not at all, even if its creator is killed with SIGKILL."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow_experiments import connect
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.shown_sweep import SweepContext, shown_sweep
from orchestrator.tracking.tracking_uri import artifact_root, default_address
from tests.orchestrator.tracking.tracked_sweep import tiny_plan

KILLED = """\
import os, signal, sys, time
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store, alembic.command
from orchestrator.tracking.tracking_uri import default_address
from orchestrator.tracking.mlflow_experiments import connect

def kill_one(runs, delay):
    child = os.fork()
    if child == 0:
        connect(default_address(runs))
        os._exit(0)
    ends = time.monotonic() + 90
    while not any(path.stat().st_size for path in runs.iterdir()) and time.monotonic() < ends:
        time.sleep(0.002)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

for delay in sys.argv[2:]:
    kill_one(Path(sys.argv[1]), float(delay))
"""


def begin(runs: Path) -> None:
    MlflowTracker(default_address(runs), artifacts=artifact_root(runs)).begin(shown_sweep(tiny_plan(runs), SweepContext()))


def test_a_store_is_created_after_a_kill_during_its_creation(tmp_path: Path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, "0", "0.1", "0.4"], check=True, timeout=300)
    begin(tmp_path)
    assert [path.name for path in tmp_path.glob("*mlflow.db*") if path.suffix != ".lock"] == ["mlflow.db"]


def test_clients_that_create_the_store_at_once_share_one(tmp_path: Path):
    errors: list[Exception] = []

    def make() -> None:
        try:
            connect(default_address(tmp_path)).search_experiments()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_incomplete_store_of_an_earlier_version_is_reported_as_broken(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE latest_metrics (key VARCHAR(250))")
    with pytest.raises(
        TrackingError, match=r"mlflow\.db is broken \(.*latest_metrics already exists.*move it away, and the next"
    ):
        begin(tmp_path)
    result = CliRunner().invoke(main, ["ui", "--runs-root", str(tmp_path), "--port", "0"])
    assert (result.exit_code, "move it away" in result.stderr) == (2, True)


def test_a_store_with_an_old_schema_is_reported_as_broken(tmp_path: Path):
    (tmp_path / "made").mkdir()
    connect(default_address(tmp_path / "made"))
    shutil.copy(tmp_path / "made" / "mlflow.db", tmp_path)  # MLflow keeps open what it opened in this process
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(TrackingError, match=r"mlflow\.db is broken \(.*out-of-date.*move it away, and the next"):
        begin(tmp_path)
