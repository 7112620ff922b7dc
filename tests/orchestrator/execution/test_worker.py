"""One job in this process: what it records, what it mends, and that it never raises."""

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch

from fsl_core.datasets.catalogue import open_dataset, prepare
from fsl_core.errors import CheckpointCorruptError
from fsl_core.provenance import running_code
from fsl_core.training import compiled_functions, process_facts
from fsl_core.training.bookkeeping import Bookkeeping
from fsl_core.training.checkpoint import read_checkpoint, save_checkpoint
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.trial_checkpoint import ExpectedCheckpoint
from fsl_core.training.trial_paths import TrialPaths
from fsl_core.training.trial_records import ExecutionRecord, ProgressRecord
from orchestrator.errors import StoreError
from orchestrator.execution import worker
from orchestrator.execution.compute import Compute
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.running_trials import record_failure
from orchestrator.execution.worker import execute
from orchestrator.records.store import Store
from orchestrator.records.trial_lock import is_held
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import trial_state
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.small_sweep import contents, small_plan

WAITS = "waiting for another process, which works on this trial"


def job_in(runs: Path, **changes: str) -> TrialJob:
    runs.mkdir(parents=True, exist_ok=True)
    trial = small_plan(runs, **{"steps": "10", **changes}).trials[0]
    return TrialJob(
        recipe=trial.recipe,
        evaluations=trial.evaluations,
        runs_root=runs,
        data_root=None,
        cache_root=runs / "data",
        stop_file=runs / "stop",
        code_digest=running_code().code_digest,
    )


def run(job: TrialJob, then: Callable[[TrialEvent], None] = lambda event: None) -> list[TrialEvent]:
    events: list[TrialEvent] = []

    def report(event: TrialEvent) -> None:
        events.append(event)
        then(event)

    execute(job, report)
    return events


def kinds(events: list[TrialEvent]) -> list[str]:
    return [event.kind for event in events]


def paths_of(job: TrialJob) -> TrialPaths:
    return Store(job.runs_root).paths(job.fingerprint)


def execution(job: TrialJob) -> ExecutionRecord:
    record = Store(job.runs_root).read(job.fingerprint).execution
    assert record is not None
    return record


def test_a_job_tells_what_happens_in_order(tmp_path: Path):
    job = job_in(tmp_path)
    events = run(job)
    assert [(event.kind, event.step) for event in events] == [
        ("started", 0),
        ("progress", 5),
        ("progress", 10),
        ("scoring", 10),
        ("finished", 10),
    ]
    assert 0 <= events[1].metrics["validation_accuracy"] <= 1
    assert kinds(run(job)) == ["started", "finished"]
    assert paths_of(job).log.read_text().count("attempt ") >= 1


def test_images_damaged_after_the_launch_looked_at_them_are_prepared_again_by_the_worker(tmp_path: Path):
    intact, damaged = job_in(tmp_path / "intact"), job_in(tmp_path / "damaged")
    prepare(damaged.recipe.data, data_root=None, cache_root=damaged.cache_root)
    with (damaged.cache_root / "glyphs-28" / "images.npy").open("r+b") as array:
        array.seek(5000)
        array.write(bytes(20_000))
    assert kinds(run(damaged))[-1] == kinds(run(intact))[-1] == "finished"
    assert contents(damaged.runs_root) == contents(intact.runs_root) != {}
    assert "is not what was prepared" in paths_of(damaged).log.read_text()


def test_the_record_names_the_libraries_that_computed(tmp_path: Path):
    job = job_in(tmp_path)
    run(job)
    versions = execution(job).versions
    assert versions["torch"] == torch.__version__.partition("+")[0] or versions["torch"] == torch.__version__
    assert versions.get("cuda") == torch.version.cuda


def test_a_job_that_is_stopped_before_it_starts_leaves_no_trace(tmp_path: Path):
    job = job_in(tmp_path)
    job.stop_file.touch()
    assert run(job) == []
    assert not paths_of(job).folder.exists()


def test_the_trials_lock_is_free_after_its_job_whatever_became_of_it(tmp_path: Path):
    job = job_in(tmp_path)
    other = filelock.FileLock(paths_of(job).lock)
    run(job)
    with other.acquire(timeout=0):
        pass
    paths_of(job).result.unlink()
    paths_of(job).recipe.unlink()
    paths_of(job).recipe.mkdir()
    assert kinds(run(job))[-1] == "failed"
    with other.acquire(timeout=0):
        pass


def test_two_processes_never_work_on_one_trial_at_once(tmp_path: Path):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    events: list[TrialEvent] = []
    worker = threading.Thread(target=execute, args=(job, events.append))
    with filelock.FileLock(paths_of(job).lock):
        worker.start()
        while worker.is_alive() and not events:
            worker.join(0.1)
        worker.join(1.5)
        assert worker.is_alive()
        assert [(event.kind, event.message) for event in events] == [("notice", WAITS)]
    worker.join(60)
    assert kinds(events)[-1] == "finished"
    assert paths_of(job).log.read_text().count(WAITS) == 1


def test_a_job_that_waits_for_another_process_can_be_stopped(tmp_path: Path):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    events: list[TrialEvent] = []
    worker = threading.Thread(target=execute, args=(job, events.append))
    with filelock.FileLock(paths_of(job).lock):
        worker.start()
        job.stop_file.touch()
        worker.join(60)
    assert kinds(events) in (["stopped"], ["notice", "stopped"], [])
    assert not paths_of(job).result.exists()


def test_a_trials_folder_that_cannot_be_made_is_a_failure_and_no_exception(tmp_path: Path):
    job = job_in(tmp_path)
    (tmp_path / "trials").mkdir()
    paths_of(job).folder.write_text("a file where a folder belongs")
    events = run(job)
    assert kinds(events) == ["failed"]
    assert str(paths_of(job).folder) in events[0].message


@pytest.mark.parametrize("damage", ["truncated", "absent"])
def test_damaged_weights_are_set_aside_and_made_again_for_a_new_score(tmp_path: Path, damage: str):
    job = job_in(tmp_path)
    run(dataclasses.replace(job, evaluations=()))
    before = paths_of(job).result.read_bytes()
    weights = paths_of(job).selected
    whole = weights.read_bytes()
    weights.unlink() if damage == "absent" else weights.write_bytes(whole[: len(whole) // 2])
    events = run(job)
    assert kinds(events)[-1] == "finished"
    assert paths_of(job).result.read_bytes() == before
    assert len(contents(tmp_path)) == 1 + len(job.evaluations)
    if damage == "truncated":
        aside = weights.with_name("selected.pt.corrupt-1")
        assert aside.read_bytes() == whole[: len(whole) // 2]
        [notice] = [event.message for event in events if event.kind == "notice" and str(aside) in event.message]
        assert notice.endswith("the weights are lost; the trial is retrained")


def test_weights_that_come_out_otherwise_are_scored_anew_and_that_is_said(tmp_path: Path):
    """As after a training on another kind of processor, whose weights are gone."""
    job = job_in(tmp_path)
    first, *others = job.evaluations
    assert others
    run(dataclasses.replace(job, evaluations=(first,)))
    for path in (paths_of(job).result, *paths_of(job).evaluations.iterdir()):
        edit(path, weights_digest="f" * 64)
    events = run(job)
    assert any("every evaluation is repeated" in event.message for event in events)
    assert kinds(events)[-1] == "finished"
    record = Store(tmp_path).read(job.fingerprint)
    assert record.result is not None and record.result.weights_digest != "f" * 64
    assert set(record.evaluations) == {each.fingerprint for each in job.evaluations}


def test_weights_that_are_lost_and_diverge_when_made_again_are_told_as_diverged(tmp_path: Path):
    job = job_in(tmp_path, outer_lr="1e30")
    assert kinds(run(dataclasses.replace(job, evaluations=())))[-1] == "diverged"
    once = {
        "status": "complete",
        "stopped_by": "budget",
        "selected_step": 5,
        "validation_accuracy": 0.5,
        "weights_digest": "f" * 64,
    }
    edit(paths_of(job).result, **once)
    assert kinds(run(job))[-1] == "diverged"
    record = Store(tmp_path).read(job.fingerprint)
    assert record.result is not None and record.result.status == "diverged" and record.failure is None


def test_who_scores_later_is_not_taken_for_who_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    job = job_in(tmp_path)
    first, second, *_ = job.evaluations
    for letter, evaluations in (("a", (first,)), ("b", (first, second))):
        code = dataclasses.replace(running_code(), git_commit=letter * 40, git_dirty=letter == "b")
        monkeypatch.setattr(process_facts, "running_code", lambda code=code: code)
        before = Store(tmp_path).read(job.fingerprint).execution
        run(dataclasses.replace(job, evaluations=evaluations))
    assert before is not None
    after = execution(job)
    assert (after.git_commit, after.git_dirty, after.finished_at) == ("a" * 40, False, before.finished_at)
    assert after.train_seconds == before.train_seconds
    assert after.evaluations[first.fingerprint] == before.evaluations[first.fingerprint]
    assert after.evaluations[second.fingerprint].git_commit == "b" * 40


def test_a_worker_with_other_code_than_the_driver_computes_nothing(tmp_path: Path):
    job = dataclasses.replace(job_in(tmp_path), code_digest="0" * 64)
    assert kinds(run(job)) == ["failed"]
    record = Store(tmp_path).read(job.fingerprint)
    assert record.failure is not None and record.failure.cause.startswith("CodeDiffersError: this worker")
    assert "0000000000000000" in record.failure.cause and running_code().code_digest[:16] in record.failure.cause
    assert record.result is None and record.progress is None


@pytest.mark.parametrize("fault", ["code", "lock", "worker"])
def test_a_failure_before_an_attempt_begins_is_the_last_thing_known_of_the_trial(tmp_path: Path, fault: str):
    """After two attempts that were killed: a failure that counted itself alone would pass for older than they are."""
    job, store = job_in(tmp_path), Store(tmp_path)
    store.write_record(job.fingerprint, dataclasses.replace(begun(job), step=5, attempts=2))
    if fault == "lock":
        paths_of(job).lock.mkdir()
    if fault == "worker":
        record_failure(job, "its worker died 4 times", "")
    else:
        assert kinds(run(dataclasses.replace(job, code_digest="0" * 64 if fault == "code" else job.code_digest)))[-1] == "failed"
    record = store.read(job.fingerprint)
    assert record.failure is not None and record.failure.attempts == 2
    assert trial_state(small_plan(tmp_path, steps="10").trials[0], record, held=False) == "failed"


def begun(job: TrialJob) -> ProgressRecord:
    return Bookkeeping.begin(job.recipe, lambda record: None).progress


def test_a_trial_whose_workers_never_came_up_was_attempted_once(tmp_path: Path):
    job = job_in(tmp_path)
    record_failure(job, "its worker died 4 times", "")
    failure = Store(tmp_path).read(job.fingerprint).failure
    assert failure is not None and failure.attempts == 1


def test_a_failure_beside_records_that_cannot_be_read_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(store: Store, fingerprint: str) -> TrialRecord:
        raise StoreError(f"{fingerprint} cannot be read (Input/output error)")

    job = job_in(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Store, "read", refuse)
        events = run(job)
    assert kinds(events) == ["failed"] and "Input/output error" in events[0].message
    failure = Store(tmp_path).read(job.fingerprint).failure
    assert failure is not None and failure.attempts == 1 and failure.cause.startswith("StoreError: ")


def test_the_record_names_the_code_that_computed(tmp_path: Path):
    job = job_in(tmp_path)
    run(job)
    code = running_code()
    found = execution(job)
    assert (found.git_commit, found.lock_digest, found.code_digest) == (code.git_commit, code.lock_digest, code.code_digest)


def test_a_pinned_path_is_recorded_and_scores_too(tmp_path: Path):
    """A trial that began with one thread goes on with one, whatever is asked, and that is what its record says."""
    job = job_in(tmp_path)

    def stop(event: TrialEvent) -> None:
        if event.kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, stop)
    events: list[TrialEvent] = []
    run(dataclasses.replace(job, compute=Compute(threads=2)), events.append)
    assert execution(job).threads == 1
    assert "this trial began on cpu with 1 thread, and keeps to it" in " ".join(event.message for event in events)
    assert {each.threads for each in execution(job).evaluations.values()} == {1}
    assert "training on cpu, 1 thread" in paths_of(job).log.read_text() and "2 threads" not in paths_of(job).log.read_text()


def test_a_truncated_checkpoint_is_set_aside_and_named(tmp_path: Path):
    undisturbed, job = job_in(tmp_path / "undisturbed"), job_in(tmp_path / "damaged")
    run(undisturbed)

    def stop(event: TrialEvent) -> None:
        if event.kind == "progress":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, stop)
    [checkpoint] = paths_of(job).checkpoints.rglob("*.pt")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    events = run(job)
    notices = [event.message for event in events if event.kind == "notice"]
    assert any(f"{checkpoint.name}.corrupt" in notice for notice in notices)
    assert paths_of(job).result.read_bytes() == paths_of(undisturbed).result.read_bytes()
    assert contents(job.runs_root) == contents(undisturbed.runs_root)


@pytest.fixture(scope="module")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> TrialJob:
    job = job_in(tmp_path_factory.mktemp("finished"))
    run(job)
    return job


@pytest.mark.parametrize("change", [{"recipe": "0" * 16}, {"state": {}}], ids=["recipe", "state"])
def test_a_checkpoint_that_no_training_here_left_is_set_aside_and_the_trial_trained_again(
    finished_job: TrialJob, tmp_path: Path, change: dict[str, Any]
):
    undisturbed, job = finished_job, job_in(tmp_path)
    checkpoints = paths_of(job).checkpoints / "select"
    newest = max((paths_of(undisturbed).checkpoints / "select").glob("*.pt"))
    save_checkpoint(checkpoints, 10, {**read_checkpoint(newest), **change})
    events = run(job)
    assert any("of other work, was set aside" in event.message for event in events)
    assert contents(job.runs_root) == contents(undisturbed.runs_root)
    assert len(list(checkpoints.glob("*.corrupt"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"step": "10"}, {"step": 11}, {"best_step": 11}, {"best_accuracy": 2.0}, {"best_loss": -1.0}, {"best_loss": None},
        {"best_weights": {}}, {"stopped_by": "a whim"},
        {"weights": {}}, {"statistics": {}}, {"moments": {}}, {"curves": {"a": 3}},
        {"interval_loss": torch.zeros(2)}, {"best_weights": None},
    ],
)  # fmt: skip
def test_no_training_resumes_from_a_state_that_cannot_be(finished_job: TrialJob, change: dict[str, Any]):
    job = finished_job
    checkpoint = read_checkpoint(max((paths_of(job).checkpoints / "select").glob("*.pt")))
    dataset = open_dataset(job.recipe.data, data_root=None, cache_root=job.cache_root)
    expected = ExpectedCheckpoint(recipe=job.recipe, dataset=dataset, stage="select", steps=job.recipe.steps)
    expected.check(checkpoint)
    for other in ({"recipe": None}, {"data": 3}, {"path": {"device": "cpu", "threads": "1"}}, {"path": None}, {"state": None}):
        with pytest.raises(CheckpointCorruptError):
            expected.check({**checkpoint, **other})
    with pytest.raises(CheckpointCorruptError):
        expected.check({**checkpoint, "state": {**checkpoint["state"], **change}})


@pytest.mark.parametrize("name", ["progress.json", "execution.json", "failure.json"])
def test_a_record_of_a_wrong_type_fails_no_trial(tmp_path: Path, name: str):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    (paths_of(job).folder / name).write_text('{"attempts": "x"}')
    events = run(job)
    assert kinds(events)[-1] == "finished"
    assert any(f"{name}.corrupt-1" in event.message for event in events)


def test_images_other_than_those_trained_on_are_a_failure(tmp_path: Path):
    job = job_in(tmp_path)
    run(dataclasses.replace(job, evaluations=()))
    edit(paths_of(job).result, data_digest="0" * 64)
    events = run(job)
    assert kinds(events)[-1] == "failed"
    failure = Store(tmp_path).read(job.fingerprint).failure
    assert failure is not None and failure.cause.startswith("DataChangedError: ")
    assert list(paths_of(job).evaluations.glob("*.json")) == []


def test_seconds_and_attempts_add_up_over_interruptions(tmp_path: Path):
    job = job_in(tmp_path, steps="15")

    def stop(event: TrialEvent) -> None:
        if event.kind == "progress" and event.step == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run(job, stop)
    assert not is_held(paths_of(job).lock)
    assert caught.traceback  # it would keep a lock alive that was not released
    progress = Store(tmp_path).read(job.fingerprint).progress
    assert progress is not None and (progress.step, progress.attempts) == (10, 1)
    events = run(job)
    assert [event.step for event in events if event.kind == "progress"] == [15]
    assert execution(job).attempts == 2
    assert execution(job).train_seconds > progress.train_seconds
    assert execution(job).started_at == progress.started_at


def test_an_attempt_that_dies_before_its_first_step_is_counted_and_logged_once(tmp_path: Path):
    job = job_in(tmp_path)

    def die(event: TrialEvent) -> None:
        raise KeyboardInterrupt

    for attempt in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            run(job, die)
        progress = Store(tmp_path).read(job.fingerprint).progress
        assert progress is not None and progress.attempts == attempt
    run(dataclasses.replace(job, evaluations=()))
    with pytest.raises(KeyboardInterrupt):
        run(job, die)  # scoring what is trained is no attempt at the training
    run(job)
    assert execution(job).attempts == 4 == paths_of(job).log.read_text().count(" attempt ")


def test_attempts_are_known_even_where_one_record_of_them_is_lost(tmp_path: Path):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    paths_of(job).checkpoints.write_text("a file where a folder belongs")
    run(job), run(job)
    paths_of(job).progress.write_text("{")
    paths_of(job).checkpoints.unlink()
    run(job)
    assert execution(job).attempts == 3


def test_a_failure_counts_its_attempts_and_goes_when_the_trial_succeeds(tmp_path: Path):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    paths_of(job).checkpoints.write_text("a file where a folder belongs")
    for attempt in (1, 2):
        assert kinds(run(job))[-1] == "failed"
        failure = Store(tmp_path).read(job.fingerprint).failure
        assert failure is not None and failure.attempts == attempt
        assert failure.cause in paths_of(job).log.read_text()
    paths_of(job).checkpoints.unlink()
    assert kinds(run(job))[-1] == "finished"
    assert Store(tmp_path).read(job.fingerprint).failure is None
    assert execution(job).attempts == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_finds_no_space_costs_neither_the_trial_nor_the_launch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    job = job_in(tmp_path)
    paths_of(job).folder.mkdir(parents=True)
    paths_of(job).log.symlink_to("/dev/full")
    assert kinds(run(job))[-1] == "finished"
    assert "No space left on device" in capsys.readouterr().err


def test_a_compiled_trial_keeps_its_code_under_the_runs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The traced graph takes the place of the code, which takes long to generate."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    folders: list[Path] = []
    monkeypatch.setattr(
        compiled_functions, "generated", lambda graph: folders.append(Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])) or graph
    )
    path = ExecutionPath(normalisation="plain", stem="maps", compiled=True)
    assert kinds(run(dataclasses.replace(job_in(tmp_path), path=path)))[-1] == "finished"
    assert {folder.parent for folder in folders} == {tmp_path / "compiled"}
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


@pytest.mark.parametrize(("interrupted", "end"), [(True, "stopped"), (False, "failed")])
def test_a_trial_whose_compiler_is_interrupted_has_stopped(
    interrupted: bool, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    job = job_in(tmp_path)

    def ended(graph: object) -> object:
        if interrupted:
            job.stop_file.touch()
        raise RuntimeError("g++ ended by a signal")

    monkeypatch.setattr(worker, "_STOP_POLL_SECONDS", 0.0)
    monkeypatch.setattr(compiled_functions, "generated", ended)
    path = ExecutionPath(normalisation="plain", stem="maps", compiled=True)
    assert kinds(run(dataclasses.replace(job, path=path)))[-1] == end
