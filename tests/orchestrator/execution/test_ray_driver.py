"""A driver on Ray that is interrupted, terminated or killed, with a real process, local cluster and signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.records.store import Store
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan

STEPS = "2000"
DRIVER = """
import sys
from pathlib import Path
from orchestrator.execution.ray_tune import RayTuneExecutor
from tests.orchestrator.small_sweep import launch, small_plan
runs = Path(sys.argv[1])
outcome = launch(small_plan(runs, steps=sys.argv[2]), runs, executor=RayTuneExecutor(storage=runs / "ray" / "launch", max_concurrent=1))
print("interrupted" if outcome.interrupted else "complete")
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an uninterrupted sweep."""
    runs = tmp_path_factory.mktemp("whole")
    launch(small_plan(runs, steps=STEPS), runs)
    return contents(runs)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver in its own process group, as a shell starts it, whose first trial has trained for some steps."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), STEPS],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_it_trains(tmp_path, process)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_until_it_trains(runs: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if any(_step(path) >= 15 for path in runs.glob("trials/*/progress.json")):
            return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the driver never trained: {process.communicate()}")


def _step(path: Path) -> int:
    return int(json.loads(path.read_text())["step"])


def _finished(runs: Path, view: Recorder | None = None) -> Recorder:
    """Resumes the sweep in this process, to its end."""
    view = view or Recorder()
    assert launch(small_plan(runs, steps=STEPS), runs, view=view).complete
    return view


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_a_signal_writes_checkpoints_and_stops(
    driver: subprocess.Popen[str], tmp_path: Path, whole: dict[str, bytes], signal_name: str
):
    """Ctrl-C in a terminal reaches every process of the group, including Ray's; a batch system's SIGTERM only the driver."""
    if signal_name == "SIGINT":
        os.killpg(driver.pid, signal.SIGINT)
    else:
        driver.send_signal(signal.SIGTERM)
    output, errors = driver.communicate(timeout=120)
    assert (driver.returncode, output, errors) == (0, "interrupted\n", "")
    reached = {path.parent.name: _step(path) for path in tmp_path.glob("trials/*/progress.json")}
    assert len(reached) == 1  # waiting trials were not started
    view = _finished(tmp_path)
    taken_up = next(iter(reached))
    steps = [event.step for event in view.events if event.fingerprint == taken_up and event.kind == "progress"]
    assert min(steps) > reached[taken_up]
    assert contents(tmp_path) == whole


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_driver_loses_at_most_an_interval(driver: subprocess.Popen[str], tmp_path: Path, whole: dict[str, bytes]):
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    [path] = tmp_path.glob("trials/*/progress.json")
    reached = _step(path)
    view = _finished(tmp_path)
    steps = [event.step for event in view.events if event.fingerprint == path.parent.name and event.kind == "progress"]
    assert not steps or min(steps) > reached - 5
    assert contents(tmp_path) == whole
    record = Store(tmp_path).read(path.parent.name).execution
    assert record is not None and record.attempts <= 2
