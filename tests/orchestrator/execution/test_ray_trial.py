"""The worker's side of Tune, without a cluster: events are forwarded, together where Tune is slow, and the process is reused."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.execution.job import TrialEvent, TrialJob
from orchestrator.execution.ray_trial import EVENTS, RayTrial
from orchestrator.launch.jobs import LaunchOptions, trial_job
from orchestrator.launch.places import PlaceOptions, Places
from tests.orchestrator.small_sweep import small_plan

Execute = Callable[[TrialJob, Callable[[TrialEvent], None]], None]


@pytest.fixture
def jobs(tmp_path: Path) -> dict[str, TrialJob]:
    options = LaunchOptions(places=Places.resolve(PlaceOptions(runs_root=tmp_path)))
    trials = small_plan(tmp_path).trials
    return {trial.fingerprint: trial_job(trial, options, stop_file=tmp_path / "stop", code_digest="") for trial in trials}


@pytest.fixture
def begun(jobs: dict[str, TrialJob], monkeypatch: pytest.MonkeyPatch) -> Callable[[Execute], RayTrial]:
    """A worker that has started the first job with this function."""

    def begin(execute: Execute) -> RayTrial:
        monkeypatch.setitem(sys.modules, "orchestrator.execution.worker", SimpleNamespace(execute=execute))
        worker = RayTrial.__new__(RayTrial)  # without Tune's own set-up, which wants a cluster
        worker.setup({"trial": next(iter(jobs))}, jobs=jobs)
        return worker

    return begin


def _event(kind: str, job: TrialJob) -> TrialEvent:
    return TrialEvent(kind=kind, fingerprint=job.fingerprint)  # type: ignore[arg-type]


def test_a_trial_does_not_wait_for_tune_and_the_next_one_reuses_its_process(
    begun: Callable[[Execute], RayTrial], jobs: dict[str, TrialJob]
):
    over = threading.Event()

    def execute(job: TrialJob, report: Callable[[TrialEvent], None]) -> None:
        for kind in ("started", "progress", "finished"):
            report(_event(kind, job))
        over.set()

    worker = begun(execute)
    first, second = jobs
    for fingerprint in (first, second):
        assert over.wait(10)  # it has ended before Tune asked for a result
        result = worker.step()
        assert [event.kind for event in result[EVENTS]] == ["started", "progress", "finished"]
        assert {event.fingerprint for event in result[EVENTS]} == {fingerprint}
        assert result["done"]
        over.clear()
        if fingerprint == first:
            assert worker.reset_config({"trial": second})


def test_events_are_forwarded_before_the_trial_ends(begun: Callable[[Execute], RayTrial]):
    heard = threading.Event()

    def execute(job: TrialJob, report: Callable[[TrialEvent], None]) -> None:
        report(_event("started", job))
        assert heard.wait(10)

    worker = begun(execute)
    result = worker.step()
    assert ([event.kind for event in result[EVENTS]], result["done"]) == (["started"], False)
    heard.set()
    assert worker.step() == {EVENTS: [], "done": True}  # a skipped trial reports no event


def test_an_error_from_outside_the_trial_is_raised_so_that_tune_retries(begun: Callable[[Execute], RayTrial]):
    def execute(job: TrialJob, report: Callable[[TrialEvent], None]) -> None:
        report(_event("started", job))
        raise MemoryError("no more")

    worker = begun(execute)
    result = worker.step()  # its earlier events come first
    assert ([event.kind for event in result[EVENTS]], result["done"]) == (["started"], False)
    with pytest.raises(MemoryError, match="no more"):
        worker.step()
