import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.errors import TrackingError
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.mlflow_experiments import experiment_ids
from orchestrator.tracking.mlflow_server import runs_page, ui_server
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.shown_sweep import SweepContext, shown_sweep
from orchestrator.tracking.tracking_uri import default_address
from tests.orchestrator.tracking.tracked_sweep import tiny_plan


def test_a_missing_store_is_a_clear_error(tmp_path: Path):
    with (
        pytest.raises(TrackingError, match=r"no MLflow store at .*mlflow\.db yet; `fsl run SWEEP\.yaml` creates it"),
        ui_server(default_address(tmp_path), artifacts=tmp_path, log=tmp_path / "log"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_a_clear_error(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(TrackingError, match=f"port {port} on 127.0.0.1 is taken"),
            ui_server(default_address(tmp_path), artifacts=tmp_path, log=tmp_path / "log", port=port),
        ):
            pass


def test_a_damaged_store_is_a_clear_error_with_the_servers_last_line(tmp_path: Path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(TrackingError, match=r"MLflow's server ended at once: .*server\.log"),
        ui_server(default_address(tmp_path), artifacts=tmp_path, log=tmp_path / "server.log"),
    ):
        pass


def test_a_log_that_cannot_be_written_is_an_error_and_starts_no_server(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    before = psutil.Process().children(recursive=True)  # other tests of this process may have started helpers that live on
    with (
        pytest.raises(TrackingError, match=r"the log of MLflow's server cannot be written to .* \(Is a directory\)"),
        ui_server(default_address(tmp_path), artifacts=tmp_path, log=tmp_path),
    ):
        pass
    assert set(psutil.Process().children(recursive=True)) <= set(before)


SERVE = """
import sys
from pathlib import Path
from orchestrator.tracking.tracking_uri import default_address
from orchestrator.tracking.mlflow_server import ui_server
folder = Path(sys.argv[1])
try:
    with ui_server(default_address(folder), artifacts=folder, log=folder / "log"):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""


def wait_for_server(driver: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 180
    while not (children := psutil.Process(driver).children()):
        assert time.monotonic() < deadline, "no server was started"
        time.sleep(0.05)
    return children


def test_one_hangup_or_two_end_the_server(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        children = wait_for_server(driver.pid)
        driver.send_signal(signal.SIGHUP)
        driver.send_signal(signal.SIGHUP)
        stdout, _ = driver.communicate(timeout=180)
    assert (driver.returncode, stdout) == (0, "interrupted\n")
    assert not [child for child in children if child.is_running()]


ENDED_IN_THE_START = """
import os, signal, subprocess
class Interrupted(subprocess.Popen):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        print(self.pid)
        os.kill(os.getpid(), signal.SIGNAL)
subprocess.Popen = Interrupted
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_signal_during_the_start_leaves_no_server_behind(tmp_path: Path, name: str):
    (tmp_path / "mlflow.db").touch()
    code = ENDED_IN_THE_START.replace("SIGNAL", name) + SERVE
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, timeout=180)
    server, said = done.stdout.splitlines()
    assert (done.returncode, said) == (0, "interrupted")
    assert not psutil.pid_exists(int(server))


def test_a_closing_terminal_ends_the_server(tmp_path: Path):
    (tmp_path / "mlflow.db").touch()
    driver, terminal = pty.fork()
    if driver == 0:
        os.execv(sys.executable, [sys.executable, "-c", SERVE, str(tmp_path)])
    children = wait_for_server(driver)
    os.close(terminal)
    _, status = os.waitpid(driver, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not [child for child in children if child.is_running()]


def test_the_command_prints_every_sweeps_page_and_ends_the_server(tmp_path: Path):
    """Meanwhile it bypasses the proxy for loopback, imports nothing from the current folder, and hides its address."""
    for name in ("first", "second"):
        MlflowTracker(default_address(tmp_path), artifacts=tmp_path).begin(shown_sweep(tiny_plan(tmp_path, name), SweepContext()))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "statistics.py").write_text("raise RuntimeError('a module of the current folder')")
    environment = {**os.environ, "http_proxy": "http://192.0.2.1:9", "HTTP_PROXY": "http://192.0.2.1:9", "no_proxy": ""}
    fsl = [sys.executable, "-P", "-c", "from orchestrator.cli.main import main; main()"]
    command = [*fsl, "ui", "--runs-root", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=elsewhere, env=environment) as driver:
        assert driver.stdout is not None
        pages = dict(driver.stdout.readline().split() for _ in range(2))
        server = psutil.Process(driver.pid).children(recursive=True)
        lines = [" ".join(process.cmdline()) for process in server]
        assert any("mlflow" in line for line in lines) and not any("mlflow.db" in line for line in lines)
        base = pages["first:"].partition("/#/")[0]
        assert pages == {f"{name}:": runs_page(base, number) for name, number in (("first", "1"), ("second", "2"))}
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(base + "/health", timeout=30) as answer:
            assert answer.status == 200
        driver.send_signal(signal.SIGTERM)
        driver.wait(60)
    assert not [process for process in server if process.is_running()]


def test_an_unknown_sweep_is_an_error_that_lists_the_known_ones(tmp_path: Path):
    MlflowTracker(default_address(tmp_path), artifacts=tmp_path).begin(shown_sweep(tiny_plan(tmp_path, "first"), SweepContext()))
    result = CliRunner().invoke(main, ["ui", "--runs-root", str(tmp_path), "--experiment", "nope"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no sweep 'nope' in this store; it has first" in result.stderr
    assert not (tmp_path / "mlflow-ui.log").exists()


def test_links_open_the_sweeps_runs(server: TrackingAddress):
    page = runs_page(server.page, experiment_ids(server)["first"])
    assert page == f"{server}/#/experiments/1/runs?workflowType=machine_learning"


def test_requests_to_a_server_on_loopback_bypass_a_dead_proxy(server: TrackingAddress, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "first" in experiment_ids(server)


def test_the_default_store_does_not_depend_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert default_address(Path("runs")).whole == f"sqlite:///{tmp_path}/runs/mlflow.db"
