"""Ray Tune as the scheduler, with a real local cluster and real worker deaths."""

import mmap
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from orchestrator.execution.job import TrialEvent
from orchestrator.execution.ray_tune import RayTuneExecutor
from orchestrator.records.store import Store
from tests.orchestrator.execution.ray_workers import ray_workers
from tests.orchestrator.executors import Followed
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("in_process")
    launch(small_plan(runs, steps="600"), runs)
    return runs


def _workers() -> list[int]:
    """The processes of this driver's own cluster that train."""
    return [worker.pid for worker in ray_workers()]


def _kill_workers() -> list[int]:
    """Kill them all, and return which they were."""
    killed = _workers()
    for process in killed:
        os.kill(process, signal.SIGKILL)
    return killed


def _ray(runs: Path, **options: int) -> RayTuneExecutor:
    return RayTuneExecutor(storage=runs / "ray" / "launch", **options)


def test_ray_and_in_process_give_the_same_bytes_and_ray_prints_nothing(
    in_process: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    view = Recorder()
    outcome = launch(small_plan(tmp_path, steps="600"), tmp_path, view=view, executor=_ray(tmp_path))
    assert outcome.complete
    assert contents(tmp_path) == contents(in_process)
    assert [event.kind for event in view.events].count("finished") == 2
    assert not [phase for phase in view.phases if "died" in phase]
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "ray" / "launch").exists()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_resumes_from_its_checkpoint(in_process: Path, tmp_path: Path) -> None:
    plan, view, killed = small_plan(tmp_path, steps="600"), Recorder(), list[int]()

    def kill_once(event: TrialEvent) -> None:
        if event.kind == "progress" and event.step >= 10 and not killed:
            killed.extend(_kill_workers())

    outcome = launch(plan, tmp_path, view=view, executor=Followed(_ray(tmp_path), kill_once))
    assert killed and outcome.complete
    assert contents(tmp_path) == contents(in_process)
    attempts = [Store(tmp_path).read(trial.fingerprint).execution for trial in plan.trials]
    assert max(record.attempts for record in attempts if record is not None) == 2


@pytest.mark.slow
def test_a_trial_that_loses_every_worker_fails_with_a_record_and_others_continue(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, view = small_plan(tmp_path, steps="1000", validation_every="1000"), Recorder()  # no attempt reaches a checkpoint
    lost, other = (trial.fingerprint for trial in plan.trials)

    def kill_each_time(event: TrialEvent) -> None:
        """As a trial does that needs more memory than there is."""
        if event.kind == "started" and event.fingerprint == lost:
            _kill_workers()

    outcome = launch(plan, tmp_path, view=view, executor=Followed(_ray(tmp_path, max_concurrent=1), kill_each_time))
    assert (outcome.failed, outcome.computed, outcome.interrupted) == ((lost,), (other,), False)
    failure = Store(tmp_path).read(lost).failure
    assert failure is not None and failure.cause == "its worker died 4 times"
    assert [event.message for event in view.events if event.kind == "failed"] == [failure.cause]
    assert sum("resumes from the last checkpoint" in notice for notice in view.notices) == 3
    assert capfd.readouterr().out == ""
    assert "A worker died" in (tmp_path / "ray" / "launch.log").read_text()
    assert launch(plan, tmp_path).complete  # without the cause the next launch finishes it
    assert Store(tmp_path).read(lost).failure is None


@dataclass
class MemoryTaker:
    """After some steps of the first trial, takes more memory than Ray's monitor allows, until a worker dies."""

    victims: list[int] = field(default_factory=list)

    def event(self, event: TrialEvent) -> None:
        """Take it once."""
        if event.kind == "progress" and not self.victims:
            self.victims.extend(_workers())
            with mmap.mmap(-1, 5 * 2**30) as balloon:
                for page in range(0, len(balloon), mmap.PAGESIZE):
                    balloon[page] = 1
                assert _wait_until(lambda: not all(map(psutil.pid_exists, self.victims)))


def _wait_until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_trials_survive_running_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's monitor ends workers during a step, an error that Tune itself does not survive."""
    memory = psutil.virtual_memory()
    threshold = (memory.total - memory.available + 4 * 2**30) / memory.total
    if threshold > 0.94:
        pytest.skip("needs 6 GiB of free memory")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{threshold:.3f}")
    undisturbed, disturbed, view = tmp_path / "undisturbed", tmp_path / "disturbed", Recorder()
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    launch(small_plan(undisturbed, steps="1500"), undisturbed)
    taker = MemoryTaker()
    executor = Followed(_ray(disturbed), taker.event)
    outcome = launch(small_plan(disturbed, steps="1500"), disturbed, view=view, executor=executor)
    assert taker.victims
    assert any("memory ran out" in notice for notice in view.notices)
    assert outcome.complete
    assert contents(disturbed) == contents(undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_trial_fails_with_the_reason_where_none_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    plan = small_plan(tmp_path, steps="60")
    outcome = launch(plan, tmp_path, executor=_ray(tmp_path))
    assert not outcome.complete
    for trial in plan.trials:
        failure = Store(tmp_path).read(trial.fingerprint).failure
        assert failure is not None and "memory ran out" in failure.cause
