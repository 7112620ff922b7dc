"""One process that trains several seeds of a recipe: each trial has its own records, events and end."""

import dataclasses
import json
import threading
from pathlib import Path

import filelock
import pytest

from fsl_core.provenance import running_code
from fsl_core.training import stage
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE, path_as_document, read_path
from fsl_core.training.step_runner import step_runner
from fsl_core.training.trial_paths import TrialPaths
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.ray_tune import RayTuneExecutor
from orchestrator.execution.worker import execute
from orchestrator.launch.jobs import LaunchOptions, trial_jobs
from orchestrator.records.store import Store
from orchestrator.records.trial_lock import is_held
from tests.orchestrator.small_sweep import contents, launch, places_in, small_plan

STOPPED = "300"
"""Steps that last longer than the half second in which a worker looks for its stop file."""


def jobs_in(runs: Path, *, together: int, steps: str = "10") -> list[TrialJob]:
    runs.mkdir(parents=True, exist_ok=True)
    options = LaunchOptions(places=places_in(runs), path=ExecutionPath(seeds_together=together), seeds_together=together)
    plan = small_plan(runs, seeds=",".join(map(str, range(together))), way="5", steps=steps)
    return trial_jobs(plan.trials, options, stop_file=runs / "stop", code_digest=running_code().code_digest)


def run(job: TrialJob) -> dict[str, list[TrialEvent]]:
    """The events of a job by their trials."""
    events: list[TrialEvent] = []
    execute(job, events.append)
    return {trial.fingerprint: [event for event in events if event.fingerprint == trial.fingerprint] for trial in job.trials}


def _alone(job: TrialJob) -> TrialJob:
    """The job with the path of trials that train alone, as where that is measured to be faster."""
    path = ExecutionPath()
    return dataclasses.replace(job, path=path, companions=tuple(dataclasses.replace(each, path=path) for each in job.companions))


def kinds(events: list[TrialEvent]) -> list[str]:
    return [event.kind for event in events]


def paths_of(job: TrialJob) -> TrialPaths:
    return Store(job.runs_root).paths(job.fingerprint)


def test_each_trial_of_a_job_has_its_own_events_and_records(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3)
    for events in run(job).values():
        assert kinds(events) == ["started", "progress", "progress", "scoring", "finished"]
    records = [Store(tmp_path).read(trial.fingerprint) for trial in job.trials]
    assert [len(record.evaluations) for record in records] == [1, 1, 1]
    assert {read_path(paths_of(trial).folder / PATH_FILE) for trial in job.trials} == {
        ExecutionPath(seeds_together=3, place=place) for place in range(3)
    }
    assert [kinds(events) for events in run(job).values()] == [["started", "finished"]] * 3


def test_the_trials_share_the_seconds_of_their_training(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3, steps="30")
    run(job)
    executions = [Store(tmp_path).read(trial.fingerprint).execution for trial in job.trials]
    seconds = [execution.train_seconds for execution in executions if execution is not None]
    assert len(seconds) == 3
    assert (
        max(seconds) < sum(seconds) / 2
    )  # were each the seconds of the process, the largest would be a third of the sum as well


def test_a_stopped_job_resumes_each_trial_to_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    [whole], [stopped] = (jobs_in(tmp_path / name, together=3, steps=STOPPED) for name in ("whole", "stopped"))
    run(whole)

    def stop(event: TrialEvent) -> None:
        if event.kind == "progress":
            stopped.stop_file.touch()

    events: list[TrialEvent] = []
    execute(stopped, lambda event: (events.append(event), stop(event)))  # type: ignore[func-returns-value]
    assert kinds(events).count("stopped") == 3
    stopped.stop_file.unlink()
    run(stopped)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole") != {}


def test_a_trial_that_another_process_has_finished_is_not_repeated(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3)
    first = dataclasses.replace(job, companions=())
    run(first)
    before = contents(tmp_path)
    assert kinds(run(job)[first.fingerprint]) == ["started", "finished"]
    assert before.items() < contents(tmp_path).items()


def test_an_error_of_the_training_fails_the_trials_that_trained_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [job] = jobs_in(tmp_path, together=3)

    def broken(*arguments, **named):  # type: ignore[no-untyped-def]
        step_runner(*arguments, **named)
        raise RuntimeError("out of memory, say")

    with monkeypatch.context() as patched:
        patched.setattr(stage, "step_runner", broken)
        assert [kinds(events)[-1] for events in run(job).values()] == ["failed"] * 3
    assert all("out of memory" in paths_of(trial).failure.read_text() for trial in job.trials)
    assert [kinds(events)[-1] for events in run(job).values()] == ["finished"] * 3
    assert not any(paths_of(trial).failure.exists() for trial in job.trials)


def test_a_damaged_record_of_one_trial_fails_no_other(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=2)
    run(job)
    _, second = job.trials
    paths_of(second).selected.write_bytes(b"not weights")
    for score in paths_of(second).evaluations.iterdir():
        score.unlink()
    before = contents(tmp_path)
    events = run(job)
    assert kinds(events[second.fingerprint])[-1] == "finished"
    assert "the weights are lost; the trial is retrained" in paths_of(second).log.read_text()
    assert before.items() < contents(tmp_path).items()


def test_a_fault_of_one_trial_s_own_folder_fails_no_other(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3)
    first, second, third = job.trials
    file = paths_of(second).folder / PATH_FILE
    file.parent.mkdir(parents=True)
    later = json.loads(path_as_document(ExecutionPath()))
    later["path"]["tiling"] = "square"
    file.write_text(json.dumps(later))
    events = run(job)
    assert [kinds(events[trial.fingerprint])[-1] for trial in (first, second, third)] == ["finished", "failed", "finished"]
    assert not paths_of(first).failure.exists()
    assert "a later one wrote it" in paths_of(second).failure.read_text()


def test_a_trial_that_another_process_holds_is_waited_for_after_the_others_have_ended(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3)
    held = job.trials[1]
    paths_of(held).folder.mkdir(parents=True)
    lock = filelock.FileLock(paths_of(held).lock, thread_local=False)
    lock.acquire()
    ended: list[str] = []

    def free_at_last(event: TrialEvent) -> None:
        if event.kind == "finished":
            ended.append(event.fingerprint)
            if len(ended) == 2:
                lock.release()

    worker = threading.Thread(target=execute, args=(job, free_at_last))
    worker.start()
    worker.join(timeout=300)
    assert not worker.is_alive()
    assert set(ended[:2]) == {job.trials[0].fingerprint, job.trials[2].fingerprint}
    assert ended[2:] == [held.fingerprint]


def test_seeds_whose_path_is_to_train_alone_train_one_after_another_and_stop_at_once(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, together=3, steps=STOPPED)
    [job] = [_alone(each) for each in jobs]

    def stop(event: TrialEvent) -> None:
        events.append(event)
        if event.kind == "progress":
            job.stop_file.touch()

    events: list[TrialEvent] = []
    execute(job, stop)
    assert kinds(events).count("stopped") == 3
    job.stop_file.unlink()
    assert [kinds(each)[-1] for each in run(job).values()] == ["finished"] * 3
    assert {read_path(paths_of(trial).folder / PATH_FILE) for trial in job.trials} == {ExecutionPath()}


def test_every_lock_of_a_job_is_free_after_it(tmp_path: Path) -> None:
    [job] = jobs_in(tmp_path, together=3)
    run(job)
    assert [is_held(paths_of(trial).lock) for trial in job.trials] == [False] * 3


@pytest.mark.slow
def test_a_sweep_has_the_same_numbers_whichever_executor_trains_its_seeds_together(tmp_path: Path) -> None:
    for name, executor in {"here": None, "ray": RayTuneExecutor(storage=tmp_path / "ray" / "launch")}.items():
        (tmp_path / name).mkdir(exist_ok=True)
        plan = small_plan(tmp_path / name, steps="10")
        outcome = launch(plan, tmp_path / name, executor=executor, seeds_together=2)
        assert outcome.complete
    assert contents(tmp_path / "here") == contents(tmp_path / "ray") != {}
    pinned = {read_path(file) for file in (tmp_path / "ray").glob(f"trials/*/{PATH_FILE}")}
    assert pinned == {ExecutionPath(seeds_together=2, place=place) for place in range(2)}
