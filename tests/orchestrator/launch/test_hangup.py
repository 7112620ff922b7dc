"""A terminal that closes under a launch: it stops as by SIGTERM, or goes on where nohup asks for that."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.orchestrator.small_sweep import SMALL

DEADLINE_SECONDS = 180
DRIVER = """
import sys
from pathlib import Path
from tests.orchestrator.small_sweep import Recorder, launch, small_plan
folder, view = Path(sys.argv[1]), Recorder()
outcome = launch(small_plan(folder, steps=sys.argv[2]), folder, view=view)
print(outcome.complete, outcome.interrupted, len(view.notices))
"""


def driver(folder: Path, steps: int) -> list[str]:
    return [sys.executable, "-c", DRIVER, str(folder), str(steps)]


def steps_done(runs: Path) -> int:
    return sum(json.loads(path.read_text(encoding="utf-8"))["step"] for path in runs.glob("trials/*/progress.json"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def test_a_hangup_stops_a_launch_as_sigterm_does_and_twice_is_no_more(tmp_path: Path) -> None:
    with subprocess.Popen(driver(tmp_path, 4000), stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: steps_done(tmp_path) > 0)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        stdout, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stdout) == (0, "False True 1\n")


def test_under_nohup_a_hangup_changes_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(["nohup", *driver(tmp_path, 60)], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: steps_done(tmp_path) > 0)
        process.send_signal(signal.SIGHUP)
        stdout, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stdout) == (0, "True False 0\n")


def test_a_terminal_that_closes_leaves_checkpoints_and_a_table(tmp_path: Path) -> None:
    """A real terminal: its close sends SIGHUP, and whatever is printed afterwards meets an error."""
    sweep, runs = tmp_path / "small.yaml", tmp_path / "runs"
    sweep.write_text(SMALL.replace("steps: 20", "steps: 4000"), encoding="utf-8")
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", "run", str(sweep), "-y"]
    command += ["--executor", "in-process", "--runs-root", str(runs), "--results-root", str(tmp_path / "results")]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    os.set_blocking(terminal, False)
    wait_until(lambda: _drained(terminal) and steps_done(runs) > 0)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 4
    assert "0/2" in (runs / "sweeps" / "small" / "report" / "table.txt").read_text(encoding="utf-8")


def _drained(terminal: int) -> bool:
    """Read what the terminal shows, so that the writer never waits."""
    while True:
        try:
            os.read(terminal, 65536)
        except BlockingIOError:
            return True


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "FSL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
