"""Runs MLflow's own web interface for a store, on loopback, until the user ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from orchestrator.errors import TrackingError
from orchestrator.process.terminal import leave_lost_terminal
from orchestrator.sweep.tracking_address import TrackingAddress

HOST = "127.0.0.1"
MODEL_TRAINING = "workflowType=machine_learning"
"""Opens the interface at its pages for training: those for language models show no run."""

ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # spares eight unused processes, 2 GiB in all
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PYTHONSAFEPATH": "1",  # no module is imported from the current folder
}

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Sends requests directly to the server on loopback, past the environment's proxy."""


def runs_page(base_url: str, experiment_id: str) -> str:
    """The page of an experiment's runs on a server."""
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{MODEL_TRAINING}"


@dataclass(frozen=True)
class UiServer:
    """A running server: its address, its process, and its log, which the thread ``listener`` writes."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    listener: threading.Thread

    def wait(self) -> int:
        """Wait until the server ends, and return its exit code. Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt."""
        return self.process.wait()


@contextmanager
def ui_server(
    address: TrackingAddress, *, artifacts: Path, log: Path, port: int = 0, patience: float = 180
) -> Iterator[UiServer]:
    """Serve a database's store on loopback until the block ends.

    Args:
        address: the database's, passed by the environment, because other users can read a command line.
        artifacts: the folder of its artifacts.
        log: the file for the server's output.
        port: the port on loopback; 0 takes a free one.
        patience: seconds that the server may take to answer; the first start takes twenty or more.

    Raises:
        TrackingError: the store does not exist, the port is taken, the log cannot be written, or the server does not start.
    """
    _refuse_no_store(address)
    port = _free_port(port)
    with _ending_signals_interrupt() as signals:
        server = None
        try:
            with signals.held():
                server = _started(address, artifacts, log, port)
            _await_answer(server, patience)
            yield server
        finally:
            if server is not None:
                _end(server.process)


def _started(address: TrackingAddress, artifacts: Path, log: Path, port: int) -> UiServer:
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", artifacts.as_uri()]
    environment = {**os.environ, **ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": address.absolute().whole}
    words = _opened(log)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=log.parent,  # the server's workers import from their current folder, such as a user's statistics.py
        start_new_session=True,  # the server and its workers end together, and only we forward a Ctrl-C to them
    )
    listener = threading.Thread(target=_keep_log, args=(process, words, address), name="server log", daemon=True)
    listener.start()
    return UiServer(f"http://{HOST}:{port}", process, log, listener)


def _opened(log: Path) -> IO[str]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("w", buffering=1, encoding="utf-8")
    except OSError as error:
        raise TrackingError(f"the log of MLflow's server cannot be written to {log} ({error.strerror})") from error


def _keep_log(process: subprocess.Popen[bytes], words: IO[str], address: TrackingAddress) -> None:
    """Write the server's output to its log, without passwords. Reads on when the disk is full, because a full pipe stops the server."""
    assert process.stdout is not None
    with suppress(OSError), words:
        for line in process.stdout:
            with suppress(OSError):
                words.write(address.redact(line.decode(errors="replace")))


class _EndingSignals:
    """Turns signals that end a process into a KeyboardInterrupt, delayed while a process starts that would be left behind."""

    def __init__(self) -> None:
        self._ending = self._holding = self._waiting = False

    def interrupt(self, signal_number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt. A second SIGHUP is ignored, because a closing terminal may send two."""
        leave_lost_terminal()
        if self._holding:
            self._waiting = True
        elif not (self._ending and signal_number == signal.SIGHUP):
            self._ending = True
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Delays an interrupt within the block until its end."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting:
            self._ending = True
            raise KeyboardInterrupt


@contextmanager
def _ending_signals_interrupt() -> Iterator[_EndingSignals]:
    """Turns SIGTERM and SIGHUP into KeyboardInterrupt, like Ctrl-C. By default they end Python at once and leave the server behind.

    Ignored signals stay ignored.
    """
    signals = _EndingSignals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    taken = [each for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT) if signal.getsignal(each) is not signal.SIG_IGN]
    before: dict[signal.Signals, Any] = {each: signal.signal(each, signals.interrupt) for each in taken}
    try:
        yield signals
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _refuse_no_store(address: TrackingAddress) -> None:
    file = address.sqlite_file
    if file is not None and not file.is_file():
        raise TrackingError(f"there is no MLflow store at {file} yet; `fsl run SWEEP.yaml` creates it")


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
            raise TrackingError(f"MLflow's server ended at once: {_last_words(server)} (full log: {server.log})")
        try:
            with _DIRECT.open(f"{server.url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TrackingError(f"MLflow's server did not answer within {patience:g} s; its log is {server.log}")


def _last_words(server: UiServer) -> str:
    server.listener.join(5)  # until the log is complete; a child of the server may keep its output open
    lines = [line.strip() for line in server.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
            process.wait(15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
