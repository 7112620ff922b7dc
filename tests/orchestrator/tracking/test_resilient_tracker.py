"""A store that refuses causes no exception and one notice, and has everything once it answers again."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fsl_core.training.trial_paths import TrialPaths
from orchestrator.errors import TrackingError
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import PlannedTrial
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.backlog import Backlog
from orchestrator.tracking.mlflow_tracker import MlflowTracker
from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.resilient import LATER, ResilientTracker
from orchestrator.tracking.shown_sweep import ShownSweep, ShownTable, SweepContext, shown_sweep
from orchestrator.tracking.tracker import StoreTracker, Tracker
from orchestrator.tracking.tracking_uri import artifact_root
from tests.orchestrator.tracking.tracked_sweep import TrackedSweep, curve_of, tracked_sweep


def sweep_through(tracker: Tracker, sweep: TrackedSweep) -> None:
    """Makes the calls of a driver in a launch that computes everything."""
    tracker.begin(shown_sweep(sweep.plan, SweepContext()))
    for trial in sweep.trials:
        tracker.trial_started(trial)
        for step, metrics in curve_of(trial).items():
            tracker.trial_progress(trial.fingerprint, step, metrics)
        tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    tracker.finish(ShownTable(files=(), markdown="the table", complete=True))


def mlflow_on(address: TrackingAddress, folder: Path) -> MlflowTracker:
    return MlflowTracker(address, artifacts=artifact_root(folder))


def resilient(
    inner: StoreTracker, notice: Callable[[str], None], folder: Path, pause: float = 60, closing: float = 90
) -> ResilientTracker:
    """A launch's tracker under ``folder/runs``, whose backlog uses the same inner tracker."""
    return ResilientTracker(
        inner, notice, Backlog(folder / "runs", lambda: inner, store="some store"), pause=pause, closing=closing
    )


@contextmanager
def refusing_server(code: int) -> Iterator[str]:
    """A web server that answers every request with an error."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(code)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def closed_port() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it
        yield f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(params=["closed port", "500", "429"])
def refusing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with closed_port() if request.param == "closed port" else refusing_server(int(request.param)) as uri:
        yield uri


def test_a_refusing_server_costs_a_notice_and_the_next_launch_repairs_it(refusing: str, server: TrackingAddress, tmp_path: Path):
    name = f"refused-{refusing.rpartition(':')[2]}"
    sweep = tracked_sweep(tmp_path, name)
    notices: list[str] = []
    sweep_through(resilient(mlflow_on(TrackingAddress(refusing), tmp_path), notices.append, tmp_path), sweep)
    assert len(notices) == 2
    assert notices[0].startswith(f"MLflow at {refusing} did not take the sweep {name}")
    assert notices[1] == f"MLflow has taken 0 of 4 finished trials, and not the table; {LATER}"

    later: list[str] = []
    tracker = resilient(mlflow_on(server, tmp_path), later.append, tmp_path)
    sweep_through(tracker, sweep)
    assert later == []
    assert set(tracker.run_ids()) == {trial.fingerprint for trial in sweep.trials}
    client = MlflowClient(tracking_uri=server.whole)
    statuses = {client.get_run(run_id).info.status for run_id in tracker.run_ids().values()}
    assert statuses == {"FINISHED"}


@dataclass
class MoodyTracker:
    """Refuses the calls with the given numbers, and records the others."""

    refuses: frozenset[int]
    calls: int = 0
    took: list[str] = field(default_factory=list)

    def _take(self, what: str) -> None:
        self.calls += 1
        if self.calls in self.refuses:
            raise TrackingError(f"did not take {what}")
        self.took.append(what)

    def lacks(self, shown: ShownSweep) -> bool:
        return True

    def open_place(self, shown: ShownSweep) -> None:
        self._take("open")

    def begin(self, shown: ShownSweep) -> None:
        self._take("begin")

    def trial_started(self, trial: PlannedTrial) -> None:
        self._take(f"start {trial.fingerprint}")

    def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
        self._take(f"progress {fingerprint}")

    def sync_trial(self, trial: PlannedTrial, record: TrialRecord, paths: TrialPaths) -> str | None:
        self._take(f"trial {trial.fingerprint}")
        return None

    def finish(self, table: ShownTable | None) -> None:
        self._take("finish" if table else "no table")

    def confirm(self, shown: ShownSweep) -> None:
        self._take("confirm")

    def run_ids(self) -> Mapping[str, str]:
        return {}


@pytest.mark.parametrize("refused", [1, 2, 3, 5])
def test_a_short_outage_leaves_no_trial_unsent(refused: int, tmp_path: Path):
    sweep = tracked_sweep(tmp_path)
    moody, notices = MoodyTracker(frozenset({refused})), list[str]()
    sweep_through(resilient(moody, notices.append, tmp_path, pause=0), sweep)
    for trial in sweep.trials:
        assert moody.took.count(f"trial {trial.fingerprint}") == 1
    assert moody.took[0] == "begin"
    assert moody.took[-2:] == ["finish", "confirm"]
    assert notices[0].startswith("did not take ")
    assert notices[1:] == ["MLflow has taken everything after all"]


def test_a_failing_notice_does_not_stop_the_sending(tmp_path: Path):
    def lost_terminal(text: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    sweep, moody = tracked_sweep(tmp_path), MoodyTracker(frozenset({2}))
    sweep_through(resilient(moody, lost_terminal, tmp_path, pause=0), sweep)
    assert moody.took[-2:] == ["finish", "confirm"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_table_is_kept_where_nothing_can_be_sent(tmp_path: Path):
    ended, notices = threading.Event(), list[str]()

    class Ending(MoodyTracker):
        def begin(self, shown: ShownSweep) -> None:
            ended.set()
            raise SystemExit

    sweep = tracked_sweep(tmp_path)
    tracker = resilient(Ending(frozenset()), notices.append, tmp_path)
    tracker.begin(shown_sweep(sweep.plan, SweepContext()))
    assert ended.wait(60)
    for thread in threading.enumerate():
        if thread.name == "tracking":
            thread.join(60)
    tracker.finish(ShownTable(files=(), markdown="the table", complete=True))
    outbox = Outbox(tmp_path / "runs")
    (kept,) = map(outbox.read, outbox.paths())
    assert kept is not None and kept.table is not None and kept.table.markdown == "the table"
    assert notices == [f"MLflow has taken 0 of 0 finished trials, and not the table; {LATER}"]


def test_no_start_is_sent_after_a_trials_last_call(tmp_path: Path):
    sweep = tracked_sweep(tmp_path)
    moody = MoodyTracker(frozenset({2}))
    sweep_through(resilient(moody, lambda notice: None, tmp_path, pause=3600), sweep)
    for trial in sweep.trials:
        assert f"trial {trial.fingerprint}" in moody.took
        assert f"start {trial.fingerprint}" not in moody.took


def test_a_slow_store_is_sent_only_the_last_call_of_each_trial(tmp_path: Path):
    sweep, answer = tracked_sweep(tmp_path), threading.Event()

    class Slow(MoodyTracker):
        def begin(self, shown: ShownSweep) -> None:
            answer.wait()
            super().begin(shown)

        def trial_progress(self, fingerprint: str, step: int, metrics: Mapping[str, float]) -> None:
            self._take(f"{step} of {fingerprint}")

    slow, (first, second, third, _) = Slow(frozenset()), sweep.trials
    tracker = resilient(slow, pytest.fail, tmp_path)
    tracker.begin(shown_sweep(sweep.plan, SweepContext()))
    for trial in (first, second, third):
        tracker.trial_started(trial)
        tracker.trial_progress(trial.fingerprint, 1, {})
    for trial in (second, first):
        tracker.sync_trial(trial, sweep.record(trial), sweep.store.paths(trial.fingerprint))
    answer.set()
    tracker.finish(None)
    ended = [f"trial {first.fingerprint}", f"trial {second.fingerprint}"]
    assert slow.took == ["begin", *ended, f"start {third.fingerprint}", f"1 of {third.fingerprint}", "no table", "confirm"]


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path):
    sweep, notices = tracked_sweep(tmp_path), list[str]()
    answer = threading.Event()

    class Hanging(MoodyTracker):
        def begin(self, shown: ShownSweep) -> None:
            answer.wait()

    tracker = resilient(Hanging(frozenset()), notices.append, tmp_path, closing=0.05)
    try:
        sweep_through(tracker, sweep)
    finally:
        answer.set()
    assert notices == [f"MLflow is slow: after 0.05 s it has taken 0 of 4 finished trials, and not the table; {LATER}"]
