"""Ray Tune as the scheduler, with a real local cluster and real worker deaths."""

import mmap
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from orchestrator.execution.executor import ignore_phase
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.ray_tune import RayTuneExecutor
from orchestrator.records.store import Store
from tests.orchestrator.execution.ray_workers import ray_workers
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("in_process")
    launch(small_plan(runs, steps="600"), runs)
    return runs


class KillsAWorker(RayTuneExecutor):
    """Kills the worker process of the first trial that has made some steps, once."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: Callable[[TrialEvent], None],
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        killed: list[int] = []

        def relay(event: TrialEvent) -> None:
            on_event(event)
            if event.kind == "progress" and event.step >= 10 and not killed:
                killed.extend(_workers())
                for process in killed:
                    os.kill(process, signal.SIGKILL)

        super().run(jobs, on_event=relay, on_phase=on_phase)
        assert killed


def _workers() -> list[int]:
    """The processes of this driver's own cluster that train."""
    return [worker.pid for worker in ray_workers()]


def test_ray_and_in_process_give_the_same_bytes_and_ray_prints_nothing(
    in_process: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    view = Recorder()
    outcome = launch(
        small_plan(tmp_path, steps="600"), tmp_path, view=view, executor=RayTuneExecutor(storage=tmp_path / "ray" / "launch")
    )
    assert outcome.complete
    assert contents(tmp_path) == contents(in_process)
    assert [event.kind for event in view.events].count("finished") == 2
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "ray" / "launch").exists()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_resumes_from_its_checkpoint(in_process: Path, tmp_path: Path) -> None:
    plan, view = small_plan(tmp_path, steps="600"), Recorder()
    outcome = launch(plan, tmp_path, view=view, executor=KillsAWorker(storage=tmp_path / "ray" / "launch"))
    assert outcome.complete
    assert contents(tmp_path) == contents(in_process)
    attempts = [Store(tmp_path).read(trial.fingerprint).execution for trial in plan.trials]
    assert max(record.attempts for record in attempts if record is not None) == 2


class KillsEveryWorkerOf(RayTuneExecutor):
    """Kills the worker of one trial each time that trial begins, as a trial does that needs more memory than there is."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: Callable[[TrialEvent], None],
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        def relay(event: TrialEvent) -> None:
            on_event(event)
            if event.kind == "started" and event.fingerprint == jobs[0].fingerprint:
                for process in _workers():
                    os.kill(process, signal.SIGKILL)

        super().run(jobs, on_event=relay, on_phase=on_phase)


@pytest.mark.slow
def test_a_trial_that_loses_every_worker_fails_with_a_record_and_others_continue(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan, view = small_plan(tmp_path, steps="1000", validation_every="1000"), Recorder()  # no attempt reaches a checkpoint
    outcome = launch(
        plan, tmp_path, view=view, executor=KillsEveryWorkerOf(storage=tmp_path / "ray" / "launch", max_concurrent=1)
    )
    lost, other = (trial.fingerprint for trial in plan.trials)
    assert (outcome.failed, outcome.computed, outcome.interrupted) == ((lost,), (other,), False)
    failure = Store(tmp_path).read(lost).failure
    assert failure is not None and failure.cause == "its worker died 4 times"
    assert [event.message for event in view.events if event.kind == "failed"] == [failure.cause]
    assert sum("resumes from the last checkpoint" in notice for notice in view.notices) == 3
    assert capfd.readouterr().out == ""
    assert "A worker died" in (tmp_path / "ray" / "launch.log").read_text()
    assert launch(plan, tmp_path).complete  # without the cause the next launch finishes it
    assert Store(tmp_path).read(lost).failure is None


class TakesTheMemory(RayTuneExecutor):
    """After some steps of the first trial, takes more memory than Ray's monitor allows, until a worker dies."""

    def run(
        self,
        jobs: Sequence[TrialJob],
        *,
        on_event: Callable[[TrialEvent], None],
        on_phase: Callable[[str], None] = ignore_phase,
    ) -> None:
        taken: list[int] = []

        def relay(event: TrialEvent) -> None:
            on_event(event)
            if event.kind == "progress" and not taken:
                taken.extend(_workers())
                with mmap.mmap(-1, 5 * 2**30) as balloon:
                    for page in range(0, len(balloon), mmap.PAGESIZE):
                        balloon[page] = 1
                    assert _wait_until(lambda: not all(map(psutil.pid_exists, taken)))

        super().run(jobs, on_event=relay, on_phase=on_phase)
        assert taken


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
    executor = TakesTheMemory(storage=disturbed / "ray" / "launch")
    outcome = launch(small_plan(disturbed, steps="1500"), disturbed, view=view, executor=executor)
    assert any("memory ran out" in notice for notice in view.notices)
    assert outcome.complete
    assert contents(disturbed) == contents(undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_trial_fails_with_the_reason_where_none_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    plan = small_plan(tmp_path, steps="60")
    outcome = launch(plan, tmp_path, executor=RayTuneExecutor(storage=tmp_path / "ray" / "launch"))
    assert not outcome.complete
    for trial in plan.trials:
        failure = Store(tmp_path).read(trial.fingerprint).failure
        assert failure is not None and "memory ran out" in failure.cause
