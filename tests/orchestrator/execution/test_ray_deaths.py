"""A part of Ray that dies during a sweep, a Ray that never starts, and an interrupted one, with real processes and signals."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import ExecutorError
from orchestrator.execution import ray_parts, ray_tune
from orchestrator.execution.cluster import describe_cluster
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.messages import Hello
from orchestrator.execution.ray_address import CONNECT_SECONDS, given_address
from orchestrator.execution.ray_parts import AGENT, SERVERS
from orchestrator.execution.ray_process import RayProcess
from orchestrator.execution.ray_tune import RAY_DEATHS_FORGIVEN, RayTuneExecutor
from orchestrator.launch.driver import SweepOutcome
from tests.orchestrator.executors import Followed
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan


@dataclass(frozen=True, kw_only=True)
class Killer:
    """Kills one of Ray's own processes after a trial has made some steps: once, or after each start of Ray.

    ``paused``: part of the command lines of processes that it first pauses, which then cannot notice the death.
    """

    victim: str
    each_time: bool = False
    paused: str | None = None
    killed: list[int] = field(default_factory=list)

    def beside(self, ray: RayTuneExecutor) -> Followed:
        """The executor whose processes it kills."""
        return Followed(ray, self._event, self._phase)

    def _phase(self, doing: str) -> None:
        if self.each_time and doing.startswith("Ray has started"):
            self._kill()

    def _event(self, event: TrialEvent) -> None:
        if event.kind == "progress" and event.step >= 10 and not self.killed:
            self._kill()

    def _kill(self) -> None:
        if self.paused is not None:
            paused = [process for process in psutil.Process().children(recursive=True) if _has(process, self.paused)]
            assert paused, self.paused
            for process in paused:
                with suppress(psutil.Error):
                    process.suspend()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # one of them may end meanwhile
                if self.victim in process.name() or self.victim in "".join(process.cmdline()[:1]):
                    process.kill()
                    self.killed.append(process.pid)


def _has(process: psutil.Process, part: str) -> bool:
    with suppress(psutil.Error):
        return part in " ".join(process.cmdline())
    return False


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["raylet", "gcs_server", "RuntimeEnvAg"])
def test_ray_restarts_when_a_part_of_it_dies_and_the_results_are_the_same(tmp_path: Path, victim: str) -> None:
    runs, undisturbed, view = tmp_path / "runs", tmp_path / "undisturbed", Recorder()
    for folder in (runs, undisturbed):
        folder.mkdir()
    launch(small_plan(undisturbed, steps="1500"), undisturbed)
    killer = Killer(victim=victim)
    executor = killer.beside(RayTuneExecutor(storage=runs / "ray" / "launch", max_concurrent=1))
    outcome = launch(small_plan(runs, steps="1500"), runs, view=view, executor=executor)
    assert killer.killed
    assert outcome.complete and outcome.broken is None
    assert contents(runs) == contents(undisturbed)
    assert "Ray died and is restarted (1 of 3 times)" in view.phases


@pytest.mark.slow
@pytest.mark.parametrize("victim", [*SERVERS, AGENT])
def test_ray_restarts_though_it_does_not_notice_the_death_of_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    monkeypatch.setattr(ray_parts, "GRACE_SECONDS", 3.0)
    killer, view = Killer(victim=victim, paused="ray_driver"), Recorder()
    outcome = _launched_beside(killer, view, tmp_path)
    assert killer.killed
    assert outcome.complete and outcome.broken is None
    assert "Ray died and is restarted (1 of 3 times)" in view.phases


@pytest.mark.slow
def test_a_worker_that_outlives_ray_does_not_keep_its_trial(tmp_path: Path) -> None:
    killer, view = Killer(victim="raylet", paused="ray::"), Recorder()
    outcome = _launched_beside(killer, view, tmp_path)
    assert killer.killed
    assert outcome.complete and outcome.broken is None
    assert "Ray died and is restarted (1 of 3 times)" in view.phases


def _launched_beside(killer: Killer, view: Recorder, runs: Path) -> SweepOutcome:
    """How a launch of one trial ends."""
    plan = small_plan(runs, seeds="0", way="[5]", steps="200")
    return launch(plan, runs, view=view, executor=killer.beside(RayTuneExecutor(storage=runs / "ray" / "launch")))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_ray_that_always_dies_ends_the_launch_with_an_error_and_keeps_results(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, steps="60")
    killer = Killer(victim="raylet", each_time=True)
    outcome = launch(plan, tmp_path, executor=killer.beside(RayTuneExecutor(storage=tmp_path / "ray" / "launch")))
    assert outcome.broken is not None and outcome.broken.startswith(f"Ray died {RAY_DEATHS_FORGIVEN + 1} times")
    assert (outcome.complete, outcome.interrupted, outcome.failed) == (False, True, ())
    assert launch(plan, tmp_path).complete


def test_an_error_explains_that_the_machine_is_too_busy_for_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tune, "START_SECONDS", 1.0)  # no machine starts a Ray within it
    outcome = launch(small_plan(tmp_path), tmp_path, executor=RayTuneExecutor(storage=tmp_path / "ray" / "launch"))
    assert outcome.broken is not None and "this machine is too busy; the same command resumes" in outcome.broken
    assert outcome.interrupted and not outcome.failed


DRIVER = """
import sys
from pathlib import Path
from orchestrator.execution.ray_tune import RayTuneExecutor
from tests.orchestrator.executors import Followed
from tests.orchestrator.small_sweep import launch, small_plan
runs = Path(sys.argv[1])
outcome = launch(small_plan(runs, steps="400"), runs, executor=RayTuneExecutor(storage=runs / "ray" / "launch"))
print("interrupted" if outcome.interrupted else "complete")
"""


def test_an_interrupt_while_ray_starts_ends_the_launch_soon_and_leaves_no_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        processes = _wait_for_processes(driver)
        driver.send_signal(signal.SIGINT)
        output, _ = driver.communicate(timeout=30)
    assert output == "interrupted\n"
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def _wait_for_processes(driver: "subprocess.Popen[str]") -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(psutil.Error):
            found = psutil.Process(driver.pid).children(recursive=True)
            if any("ray_driver" in " ".join(process.cmdline()) for process in found):
                return found
        time.sleep(0.05)
    raise AssertionError("Ray's process never started")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port with a listener that never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def _closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ask", ["a launch", "a question"])
def test_an_address_where_nothing_listens_is_refused_at_once(tmp_path: Path, ask: str) -> None:
    address = f"127.0.0.1:{_closed_port()}"
    with pytest.raises(ExecutorError, match=f"no Ray cluster answers at {address} .*Connection refused.*--address, RAY_ADDRESS"):
        if ask == "a launch":
            RayTuneExecutor(storage=tmp_path / "ray", address=address).run([_no_job()], on_event=lambda event: None)
        else:
            describe_cluster(address)


def _no_job() -> TrialJob:
    return object.__new__(TrialJob)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_address_with_another_listener_is_refused_in_time(silent_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(ExecutorError, match=rf"127.0.0.1:{silent_port}"):
        describe_cluster(f"127.0.0.1:{silent_port}")
    assert time.monotonic() - began < 3 * (CONNECT_SECONDS + 10)  # the import of Ray comes first


@pytest.mark.timeout(120)
def test_an_interrupt_ends_the_wait_for_a_cluster(silent_port: int) -> None:
    code = f"from orchestrator.execution.cluster import describe_cluster; describe_cluster('127.0.0.1:{silent_port}')"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as asking:
        _wait_for_processes(asking)
        asking.send_signal(signal.SIGINT)
        _, errors = asking.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors


def test_auto_where_no_cluster_runs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/nonexistent")
    with pytest.raises(ExecutorError, match="the Ray cluster at auto cannot be joined: ConnectionError"):
        describe_cluster("auto")


@pytest.mark.parametrize(
    "text", ["head", "head:", "head:port", "head:0", "head:70000", "ray://head:10001", "head..x:6379", f"{'x' * 70}:6379"]
)
def test_an_invalid_address_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ExecutorError):
        describe_cluster(text if text != "head" else "head.invalid")


@pytest.mark.parametrize(
    ("text", "address"), [(None, None), ("", None), (" ", None), ("local", None), ("auto", "auto"), ("a:1", "a:1")]
)
def test_an_empty_address_means_a_local_ray(text: str | None, address: str | None) -> None:
    assert given_address(text) == address


@pytest.mark.parametrize("half", [b"", b"\x00\x00\x01\x00half a message"])
def test_a_process_that_dies_within_a_message_is_reported_as_dead(tmp_path: Path, half: bytes) -> None:
    ours, theirs = Pipe()
    with ours, subprocess.Popen([sys.executable, "-c", ""]) as process:
        running = RayProcess(ours, process, tmp_path / "log", greeted=True)
        os.write(theirs.fileno(), half)
        theirs.close()
        with pytest.raises(EOFError):
            running.next_message(5)
        (tmp_path / "log").write_text("No module named orchestrator\n", encoding="utf-8")
        running.greeted = False
        with pytest.raises(ExecutorError, match="Ray's process did not start: No module named orchestrator"):
            running.next_message(5)


def test_a_process_with_other_code_is_refused(tmp_path: Path) -> None:
    ours, theirs = Pipe()
    with ours, theirs, subprocess.Popen([sys.executable, "-c", ""]) as process:
        theirs.send(Hello(code_digest="0" * 64))
        with pytest.raises(ExecutorError, match="Ray's process would run other code than this one"):
            RayProcess(ours, process, tmp_path / "log").next_message(5)
