"""The driver's handle on the process that runs Ray: starts it, receives its messages, and ends it with its descendants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from fsl_core.code_digest import code_digest, code_location
from orchestrator.errors import ExecutorError
from orchestrator.execution.messages import Hello
from orchestrator.execution.ray_parts import RayParts, kill_all

_SECONDS_TO_END = 5.0
_START = "import sys; from orchestrator.execution.ray_driver import main; main(int(sys.argv[1]))"


@dataclass
class RayProcess:
    """A running process of Ray: the pipe to it, the process itself, and the log of its and Ray's output.

    ``greeted``: it has started, and runs this process's own code. ``parts``: what it runs of Ray.
    """

    connection: Connection
    process: subprocess.Popen[bytes]
    log: Path
    greeted: bool = False
    parts: RayParts = field(init=False)

    def __post_init__(self) -> None:
        self.parts = RayParts(psutil.Process(self.process.pid))

    def ask(self, request: object) -> None:
        """Send it a request. :meth:`next_message` reports a process that has died."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(request)

    def next_message(self, seconds: float) -> object | None:
        """Its next message; None where none arrives within ``seconds``.

        Raises:
            EOFError: it has died or ended.
            ExecutorError: it does not start, or its code differs from this process's.
        """
        try:
            message: object = self.connection.recv() if self.connection.poll(seconds) else None
        except (EOFError, OSError) as error:  # an OSError where it died in the middle of a message
            if not self.greeted:
                raise ExecutorError(f"Ray's process did not start: {self.last_words()} (full log: {self.log})") from error
            raise EOFError from error
        if isinstance(message, Hello):
            self._check_code(message)
            return None
        return message

    def _check_code(self, hello: Hello) -> None:
        if hello.code_digest != code_digest():
            raise ExecutorError(
                f"Ray's process would run other code than this one, which was imported from {code_location()}: start fsl from the "
                "installation that holds this code, and launch again after a change of the code"
            )
        self.greeted = True

    def last_words(self) -> str:
        """The last line of its log."""
        lines = [line.strip() for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"


@contextmanager
def ray_process(environment: Mapping[str, str], *, folder: Path, log: Path) -> Iterator[RayProcess]:
    """A process that runs this process's own code, for as long as the block lasts.

    Args:
        environment: its complete environment.
        folder: its working folder, which must be empty: Ray's workers import from their driver's working folder first.
        log: the file for its output, which is overwritten.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = Pipe()
    with ours, log.open("wb") as out:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno())],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # only the driver handles a Ctrl-C in the terminal
            )
        running = RayProcess(ours, process, log)
        try:
            yield running
        finally:
            _end(process, running.parts)


def _end(process: subprocess.Popen[bytes], parts: RayParts) -> None:
    """End the process and its descendants: first by a request, then by force."""
    started = parts.look()
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
    started |= parts.look()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kill_all(started, _SECONDS_TO_END)


def wait_for_end(running: RayProcess, seconds: float) -> None:
    """Wait up to ``seconds`` for a process that has sent its last message to end by itself."""
    deadline = time.monotonic() + seconds
    while running.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
