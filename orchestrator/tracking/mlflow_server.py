"""MLflow's own web interface on a store, on loopback, for as long as somebody looks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import TrackingError
from orchestrator.tracking.location import sqlite_file, without_password

HOST = "127.0.0.1"
MODEL_TRAINING = "workflowType=machine_learning"
"""Without it the interface opens on its pages for language models, where no run is to be seen."""

# Job execution would start eight more processes, 2 GiB in all, that nothing here uses.
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def ui_link(base_url: str, experiment: str | None = None) -> str:
    """The page of an experiment's runs on a server, by the experiment's name; of all experiments where it is not there."""
    base = base_url.rstrip("/")
    found = _experiment_id(base, experiment) if experiment else None
    page = f"experiments/{found}/runs" if found else "experiments"
    return f"{base}/#/{page}?{MODEL_TRAINING}"


def _experiment_id(base: str, name: str) -> str | None:
    query = urllib.parse.urlencode({"experiment_name": name})
    try:
        with urllib.request.urlopen(f"{base}/api/2.0/mlflow/experiments/get-by-name?{query}", timeout=30) as answer:
            return str(json.load(answer)["experiment"]["experiment_id"])
    except (OSError, ValueError, KeyError):
        return None


@dataclass(frozen=True)
class UiServer:
    """A running server: its address, its process and the file with what it said."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def link(self, experiment: str | None = None) -> str:
        """Where to look; see :func:`ui_link`."""
        return ui_link(self.url, experiment)

    def wait(self) -> int:
        """Wait until the server ends by itself, and return its exit code. Ctrl-C and SIGTERM are a KeyboardInterrupt."""
        return self.process.wait()


@contextmanager
def ui_server(uri: str, *, artifacts: Path, log: Path, port: int = 0, patience: float = 180) -> Iterator[UiServer]:
    """Serve a database's store on loopback until the block ends.

    Args:
        uri: the database's address.
        artifacts: the folder of its artifacts.
        log: takes what the server says.
        port: the port on loopback; 0 takes a free one.
        patience: seconds that the server may take to answer; a cold one takes twenty or more.

    Raises:
        TrackingError: if there is no store yet, the port is taken, or the server does not come up.
    """
    _refuse_no_store(uri)
    port = _free_port(port)
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", uri, "--artifacts-destination", artifacts.as_uri()]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        # A session of its own: the server and its workers end together, and a Ctrl-C reaches them through us alone.
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **ENVIRONMENT}, start_new_session=True)
    server = UiServer(f"http://{HOST}:{port}", process, log)
    try:
        with _sigterm_interrupts():
            _await_answer(server, patience)
            yield server
    finally:
        _end(process)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM as a KeyboardInterrupt: its default ends Python on the spot, and the server would be left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse_no_store(uri: str) -> None:
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise TrackingError(f"there is no MLflow store at {file} yet; `fsl run SWEEP.yaml` makes it")


def _free_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(f"port {port} on {HOST} is taken; choose another one") from error
        return int(probe.getsockname()[1])


def _await_answer(server: UiServer, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise TrackingError(f"MLflow's server ended at once: {_last_words(server.log)} (all of it: {server.log})")
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TrackingError(f"MLflow's server did not answer within {patience:g} s; what it said is in {server.log}")


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return without_password(lines[-1]) if lines else "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
            process.wait(15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
