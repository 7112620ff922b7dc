"""The driver: what is done stays done, what is damaged is done again, nothing is done twice."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from fsl_core.provenance import running_code
from fsl_core.training.trial_paths import TrialPaths
from orchestrator.errors import StoreError, SweepLockedError
from orchestrator.execution.in_process import InProcessExecutor
from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.launch.launches import read_launches
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.records.trial_state import is_done
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.tracking.tracker import NullTracker
from tests.orchestrator.executors import Followed, Instead
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("finished")
    outcome = launch(small_plan(runs), runs)
    assert outcome.complete and len(outcome.computed) == 2
    return runs


def test_cells_that_share_a_recipe_share_its_trial(finished: Path) -> None:
    plan = small_plan(finished)
    assert (len(plan.cells), len(plan.trials)) == (2, 2)
    assert len(contents(finished)) == 2 + 4  # a result a trial, a score a trial and cell


def test_a_second_launch_computes_nothing(finished: Path) -> None:
    before, view = contents(finished), Recorder()
    outcome = launch(small_plan(finished), finished, view=view)
    assert outcome.complete and outcome.computed == () and view.events == []
    assert set(view.done.values()) == {"done"}
    assert not any("torch and the images" in phase for phase in view.phases)
    assert contents(finished) == before


def test_a_trial_that_lacks_only_scores_comes_first(finished: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(finished, runs)
    untrained, unscored = (runs / "trials" / trial.fingerprint for trial in small_plan(runs).trials)
    shutil.rmtree(untrained)
    shutil.rmtree(unscored / "evaluations")
    view = Recorder()
    assert launch(small_plan(runs), runs, view=view).complete
    assert view.events[0].fingerprint == unscored.name


def test_a_new_evaluation_never_trains_again(finished: Path, tmp_path: Path) -> None:
    runs = shutil.copytree(finished, tmp_path / "runs")  # it adds to the records, which other tests count
    plan = small_plan(runs, shot="[1]", way="[5, 10, 15]", train_shot="1")
    before, view = contents(runs), Recorder()
    outcome = launch(plan, runs, view=view)
    assert outcome.complete
    assert {event.kind for event in view.events} == {"started", "scoring", "finished"}
    assert {name: content for name, content in contents(runs).items() if name in before} == before
    assert len(contents(runs)) == len(before) + 2


def test_every_record_says_how_it_was_made(finished: Path) -> None:
    for record in Store(finished).records(trial.fingerprint for trial in small_plan(finished).trials).values():
        assert record.execution is not None
        assert record.execution.train_seconds > 0 and record.execution.attempts == 1
        assert set(record.execution.evaluations) == set(record.evaluations)
        assert {"python", "torch", "numpy"} <= set(record.execution.versions)
        assert record.execution.lock_digest is None or len(record.execution.lock_digest) == 64


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"fingerprint": "0"}', b"\xff\xfe"])
def test_a_damaged_result_is_set_aside_named_and_made_again(tmp_path: Path, damage: bytes) -> None:
    plan = small_plan(tmp_path, steps="5")
    launch(plan, tmp_path)
    before = contents(tmp_path)
    broken = Store(tmp_path).paths(plan.trials[0].fingerprint).result
    broken.write_bytes(damage)
    view = Recorder()
    outcome = launch(plan, tmp_path, view=view)
    assert outcome.computed == (plan.trials[0].fingerprint,)
    assert contents(tmp_path) == before
    assert broken.with_name("result.json.corrupt-1").read_bytes() == damage
    assert any("result.json.corrupt-1" in notice for notice in view.notices)


def test_scores_of_weights_that_are_lost_and_come_out_otherwise_are_all_made_again(tmp_path: Path) -> None:
    """As after a training on another kind of processor, whose weights are gone when a further evaluation asks for them."""
    one = small_plan(tmp_path, steps="5", way="[5]")
    launch(one, tmp_path, view=Recorder())
    for trial in one.trials:
        paths = Store(tmp_path).paths(trial.fingerprint)
        for path in (paths.result, *paths.evaluations.iterdir()):
            edit(path, weights_digest="f" * 64)
    both = small_plan(tmp_path, steps="5")
    assert [trial.fingerprint for trial in both.trials] == [trial.fingerprint for trial in one.trials]
    assert launch(both, tmp_path).complete
    assert launch(both, tmp_path).computed == ()


def test_a_result_of_another_trial_does_not_count(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, steps="5")
    launch(plan, tmp_path)
    paths = [Store(tmp_path).paths(trial.fingerprint) for trial in plan.trials]
    paths[0].result.write_bytes(paths[1].result.read_bytes())
    assert Store(tmp_path).read(plan.trials[0].fingerprint).result is None


def interrupt_after_some_steps(event: TrialEvent) -> None:
    """Send this process a SIGINT, as Ctrl-C does, when the first trial has made some steps."""
    if event.kind == "progress" and event.step == 10:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.6)  # the worker looks at its stop file twice a second


def test_ctrl_c_writes_checkpoints_and_the_next_launch_goes_on(finished: Path, tmp_path: Path) -> None:
    plan, view = small_plan(tmp_path), Recorder()
    stopped = launch(plan, tmp_path, view=view, executor=Followed(InProcessExecutor(), interrupt_after_some_steps))
    assert stopped.interrupted and not stopped.complete and stopped.failed == ()
    assert view.events[-1].kind == "stopped"
    assert any("stopping" in notice for notice in view.notices)
    record = Store(tmp_path).read(plan.trials[0].fingerprint)
    assert record.progress is not None and record.progress.step == 10
    assert launch(plan, tmp_path).complete
    assert {name: content for name, content in contents(finished).items() if name in contents(tmp_path)} == contents(tmp_path)


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def interrupt_twice(jobs: Sequence[TrialJob]) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        launch(small_plan(tmp_path), tmp_path, executor=Instead(interrupt_twice))


def test_a_failing_trial_is_recorded_and_does_not_stop_the_others(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, steps="5")
    first = Store(tmp_path).paths(plan.trials[0].fingerprint)
    first.folder.mkdir(parents=True)
    first.checkpoints.write_text("a file where a folder belongs")
    outcome = launch(plan, tmp_path)
    assert outcome.failed == (plan.trials[0].fingerprint,)
    assert outcome.computed == (plan.trials[1].fingerprint,)
    failure = Store(tmp_path).read(plan.trials[0].fingerprint).failure
    assert failure is not None and "Error" in failure.cause and "Traceback" in failure.traceback
    first.checkpoints.unlink()
    assert launch(plan, tmp_path).complete
    assert Store(tmp_path).read(plan.trials[0].fingerprint).failure is None


def test_what_a_launch_wants_is_on_record_before_any_trial_starts(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, steps="5")

    def look(jobs: Sequence[TrialJob]) -> None:
        (launch_on_record,) = read_launches(tmp_path / "sweeps").by_file.values()
        assert launch_on_record.plan == plan.fingerprint and launch_on_record.overrides == plan.spec.overrides
        assert dict(launch_on_record.trials) == {
            job.fingerprint: tuple(each.fingerprint for each in job.evaluations) for job in jobs
        }

    launch(plan, tmp_path, executor=Instead(look))


def test_two_drivers_never_hold_one_sweep(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)

    def intrude(jobs: Sequence[TrialJob]) -> None:
        with pytest.raises(SweepLockedError, match=f"process {os.getpid()} on "):
            launch(plan, tmp_path)

    launch(plan, tmp_path, executor=Instead(intrude))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_runs_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be written to"):
        launch(small_plan(tmp_path), tmp_path / "runs")


def test_a_runs_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(StoreError, match="runs cannot be written to"):
        launch(small_plan(tmp_path), tmp_path / "runs")


DRIVER = """
import sys
from pathlib import Path
from tests.orchestrator.small_sweep import launch, small_plan
runs = Path(sys.argv[1])
launch(small_plan(runs, steps="60"), runs)
"""


def test_a_killed_driver_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the middle of a training: nothing is lost but the last interval, and the bytes are those of a run in one go."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    launch(small_plan(whole, steps="60"), whole)
    plan = small_plan(killed, steps="60")
    first = Store(killed).paths(plan.trials[0].fingerprint)
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(killed)])
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and _step(first.progress) < 15:
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert 15 <= _step(first.progress) < 60
    view = Recorder()
    assert launch(plan, killed, view=view).complete
    steps = [event.step for event in view.events if event.kind == "progress" and event.fingerprint == plan.trials[0].fingerprint]
    assert min(steps) > 10  # it did not begin again
    assert any("torch and the images" in phase for phase in view.phases)
    assert contents(killed) == contents(whole)
    record = Store(killed).read(plan.trials[0].fingerprint)
    assert record.execution is not None and record.execution.attempts == 2
    assert all(is_done(trial, Store(killed).read(trial.fingerprint)) for trial in plan.trials)


def _step(path: Path) -> int:
    try:
        return int(json.loads(path.read_text())["step"])
    except FileNotFoundError:
        return 0


def test_a_commit_that_git_does_not_tell_is_said_once_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a git on PATH. A checkout is what these tests run in."""
    monkeypatch.setenv("PATH", "")
    running_code.cache_clear()
    plan, view = small_plan(tmp_path), Recorder()
    launch(plan, tmp_path, view=view)
    running_code.cache_clear()
    assert [notice for notice in view.notices if "git does not run here" in notice] == view.notices
    assert len(view.notices) == 1 and view.notices[0].startswith("no commit is recorded: ")
    for trial in plan.trials:
        execution = Store(tmp_path).read(trial.fingerprint).execution
        assert execution is not None and execution.git_commit is None
        assert execution.git_problem is not None and "does not run here" in execution.git_problem


def test_a_launch_says_that_other_code_computed_finished_trials(finished: Path, tmp_path: Path) -> None:
    """Where it computes further ones: a table of one code says nothing."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    store, plan, view = Store(tmp_path), small_plan(tmp_path), Recorder()
    execution = store.read(plan.trials[0].fingerprint).execution
    assert execution is not None
    store.write_execution(plan.trials[0].fingerprint, dataclasses.replace(execution, code_digest="0" * 64))
    assert launch(plan, tmp_path, view=view).complete and view.notices == []
    store.paths(plan.trials[1].fingerprint).result.unlink()
    launch(plan, tmp_path, view=view)
    assert "1 finished trial of this sweep: computed by other code than the trials of this launch" in view.notices


def test_without_matplotlib_a_trial_is_finished_and_the_launch_says_that_its_picture_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a notebook's ``MPLBACKEND`` kept Matplotlib from being imported: the trial failed after its training."""
    for name in [name for name in sys.modules if name.startswith("orchestrator.report.") and not name.endswith("drawing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    view = Recorder()
    outcome = launch(small_plan(tmp_path), tmp_path, view=view)
    assert outcome.complete
    assert [notice.partition(" (")[0] for notice in view.notices] == ["episode.png was not drawn"] * 2
    assert not list(tmp_path.glob("trials/*/episode.png"))


def test_the_picture_of_a_trial_is_drawn_before_its_views_hear_of_it(tmp_path: Path) -> None:
    class Tracked(NullTracker):
        pictures: ClassVar[list[bool]] = []

        def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> None:
            self.pictures.append(paths.picture.exists())

    launch(small_plan(tmp_path), tmp_path, tracker=Tracked())
    assert Tracked.pictures == [True, True]
