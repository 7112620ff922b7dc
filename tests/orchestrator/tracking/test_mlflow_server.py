import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from orchestrator.errors import TrackingError
from orchestrator.tracking.location import default_tracking_uri, is_database, is_server, without_password
from orchestrator.tracking.mlflow_server import ui_link, ui_server
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.tracker import SweepContext
from tests.orchestrator.tracking.tracked_sweep import tiny_plan


def test_no_store_yet(tmp_path: Path):
    with (
        pytest.raises(TrackingError, match=r"no MLflow store at .*mlflow\.db yet; `fsl run SWEEP\.yaml` makes it"),
        ui_server(default_tracking_uri(tmp_path), artifacts=tmp_path, log=tmp_path / "log"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(TrackingError, match=f"port {port} on 127.0.0.1 is taken"),
            ui_server(default_tracking_uri(tmp_path), artifacts=tmp_path, log=tmp_path / "log", port=port),
        ):
            pass


def test_a_damaged_store_is_a_clear_error_with_the_servers_words(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(TrackingError, match=r"MLflow's server ended at once: .*server\.log"),
        ui_server(default_tracking_uri(tmp_path), artifacts=tmp_path, log=tmp_path / "server.log"),
    ):
        pass


SERVE = """
import sys
from pathlib import Path
from orchestrator.tracking.mlflow_server import ui_server
folder = Path(sys.argv[1])
with ui_server(f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder, log=folder / "server.log") as server:
    print(server.process.pid, server.url, flush=True)
    server.wait()
"""


def test_told_to_end_it_takes_the_server_along(tmp_path: Path):
    uri = default_tracking_uri(tmp_path)
    MlflowTracker(uri, artifacts=tmp_path).begin(tiny_plan(tmp_path), SweepContext())
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        group, url = driver.stdout.readline().split()
        with urllib.request.urlopen(url + "/health", timeout=30) as answer:
            assert answer.status == 200
        driver.send_signal(signal.SIGTERM)
        driver.wait(60)
    with pytest.raises(ProcessLookupError):
        os.killpg(int(group), 0)


def test_links_lead_to_the_sweeps_runs(server: str):
    assert ui_link(server, "first") == f"{server}/#/experiments/1/runs?workflowType=machine_learning"
    assert ui_link(server, "no such") == ui_link(server) == f"{server}/#/experiments?workflowType=machine_learning"


def test_the_default_store_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert default_tracking_uri(Path("runs")) == f"sqlite:///{tmp_path}/runs/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "database", "server"),
    [
        ("sqlite:///x.db", True, False),
        ("postgresql+psycopg2://host/db", True, False),
        ("http://localhost:5000", False, True),
        ("databricks", False, False),
    ],
)
def test_kinds_of_stores(uri: str, database: bool, server: bool):
    assert (is_database(uri), is_server(uri)) == (database, server)


def test_passwords_are_struck_out():
    assert without_password("see postgresql://me:hush@db/x and http://h:1/") == "see postgresql://me:***@db/x and http://h:1/"
