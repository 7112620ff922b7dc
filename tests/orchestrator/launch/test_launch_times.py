"""What a launch took beside what was predicted: of its own trials alone, and like beside like."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.cli.times_text import times_text
from orchestrator.execution.in_process import InProcessExecutor
from orchestrator.execution.job import EventKind, TrialEvent
from orchestrator.launch.cost import UNKNOWN, CostBook
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.forecast import Forecast, StartUp, make_forecast
from orchestrator.launch.launch_times import LaunchClock, LaunchTimes, Uncompared
from orchestrator.launch.launches import MOST_TIMES, launch_on_record, record_launch, record_times
from orchestrator.launch.prediction import Parts
from orchestrator.launch.span import Span
from orchestrator.records.store import Store
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan
from tests.orchestrator.executors import Followed
from tests.orchestrator.launch.test_cost import HERE, quiet, record
from tests.orchestrator.launch.test_driver import interrupt_after_some_steps
from tests.orchestrator.records.edited_record import edit
from tests.orchestrator.small_sweep import Recorder, contents, launch, small_plan

START = StartUp(launch=Span.of([2.0]), trial=Span.of([5.0]))


def expectation(plan: Plan, records: Mapping[str, TrialRecord] | None = None, *, second: float = 1.0) -> Forecast:
    """Each unit of work takes so many seconds."""
    book = CostBook(HERE)
    for trial in plan.trials:
        for work in book.unknown_work(trial.recipe, trial.evaluations):
            book.probed(work, quiet(second))
    found = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials}
    return make_forecast(plan, {**found, **(records or {})}, book, slots=2, start=START)


class Launch:
    """A launch whose events come at stated seconds, and what its clock says in the end."""

    def __init__(self, plan: Plan, expected: Forecast | None = None) -> None:
        self.seconds = 0.0
        self.names = [trial.fingerprint for trial in plan.trials]
        self.expected = expectation(plan) if expected is None else expected
        self.clock = LaunchClock(self.expected, clock=lambda: self.seconds)

    def hear(self, trial: int, at: float, *kinds: EventKind) -> None:
        self.seconds = at
        for kind in kinds:
            self.clock.event(TrialEvent(kind=kind, fingerprint=self.names[trial]))

    def times(self, *records: TrialRecord) -> LaunchTimes:
        times = self.clock.times({record.fingerprint: record for record in records})
        assert times is not None
        return times

    def predicted(self, *trials: int) -> float:
        """The likely seconds of what was left of these trials, without the start-up of their processes."""
        lefts = [self.expected.left[self.names[trial]].left for trial in trials]
        return sum(left.likely - START.trial.likely for left in lefts if left is not None)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return small_plan(tmp_path)


def test_trials_side_by_side_are_counted_one_after_the_other_beside_the_wall_clock(plan: Plan) -> None:
    ran = Launch(plan)
    ran.hear(0, 10, "started", "progress")
    ran.hear(1, 12, "started", "progress", "scoring")
    ran.hear(0, 20, "finished")
    ran.hear(1, 40, "finished")
    ran.seconds = 50
    times = ran.times()
    assert (times.trials, times.trial_seconds, times.wall_seconds, times.slots) == (2, 38, 50, 2)
    assert times.predicted_trial_seconds.likely == pytest.approx(ran.predicted(0, 1))
    assert times.predicted_wall_seconds == ran.expected.total_seconds and times.uncompared == ()


def test_a_trial_whose_worker_died_took_all_its_attempts(plan: Plan) -> None:
    ran = Launch(plan)
    ran.hear(0, 0, "started", "progress")
    ran.hear(0, 7, "notice")
    ran.hear(0, 10, "started", "progress")
    ran.hear(0, 15, "finished")
    assert ran.times().trial_seconds == 15


ENDS: list[tuple[tuple[EventKind, ...], str, float]] = [
    (("started", "progress", "diverged"), "diverged", 5),
    (("started", "progress", "failed"), "failed", 5),
    (("started", "progress", "stopped"), "stopped", 5),
    (("started", "progress"), "stopped", 5),
    ((), "not begun", 0),
    (("started", "finished"), "computed elsewhere", 5),
]


@pytest.mark.parametrize(("kinds", "why", "seconds"), ENDS, ids=[why for _, why, _ in ENDS])
def test_a_trial_that_did_not_do_what_was_predicted_is_not_compared(
    plan: Plan, kinds: tuple[EventKind, ...], why: str, seconds: float
) -> None:
    ran = Launch(plan)
    ran.hear(0, 0, "started", "scoring", "finished")
    ran.hear(1, 0, *kinds[:1])
    ran.hear(1, 5, *kinds[1:])
    times = ran.times()
    assert times.trials == 1 and times.predicted_trial_seconds.likely == pytest.approx(ran.predicted(0))
    assert [(each.why, each.trials, each.seconds) for each in times.uncompared] == [(why, 1, seconds)]


def test_a_trial_of_unknown_cost_is_not_compared_and_makes_the_wall_clock_unknown(plan: Plan) -> None:
    known = expectation(plan)
    name = plan.trials[1].fingerprint
    unknown = dataclasses.replace(known.predictions[name], of_the_rest=Parts(start_up=UNKNOWN, training=UNKNOWN))
    ran = Launch(plan, dataclasses.replace(known, predictions={**known.predictions, name: unknown}))
    for trial in (0, 1):
        ran.hear(trial, 5, "started", "progress", "finished")
    times = ran.times()
    assert times.trials == 1 and times.predicted_wall_seconds is None
    assert times.uncompared == (Uncompared(why="of unknown cost", trials=1, seconds=0.0),)


def test_what_patience_ended_is_counted(plan: Plan) -> None:
    ran = Launch(plan)
    for trial in (0, 1):
        ran.hear(trial, 5, "started", "progress", "finished")
    first, second = plan.trials
    assert ran.times(record(first.recipe, 1, stopped_by="patience"), record(second.recipe, 1)).by_patience == 1


def test_a_launch_that_had_nothing_to_do_has_no_times(plan: Plan) -> None:
    expected = expectation(plan)
    assert LaunchClock(dataclasses.replace(expected, done=frozenset(expected.predictions))).times({}) is None


def run(plan: Plan, runs: Path, **how: object) -> LaunchTimes | None:
    """Launch a sweep in this process, by a prediction from where it stands."""
    expected = expectation(plan, Store(runs).records([trial.fingerprint for trial in plan.trials]), second=0.001)
    return launch(plan, runs, expected=expected, **how).times  # type: ignore[arg-type]


def test_a_sweep_that_is_stopped_and_resumed_compares_what_each_launch_did(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    stopped = run(plan, tmp_path, executor=Followed(InProcessExecutor(), interrupt_after_some_steps))
    assert stopped is not None and stopped.trials == 0 and stopped.trial_seconds == 0
    assert [(each.why, each.trials) for each in stopped.uncompared] == [("stopped", 1), ("not begun", 1)]
    resumed = run(plan, tmp_path)
    assert resumed is not None and resumed.trials == 2 and resumed.uncompared == ()
    assert 0 < resumed.trial_seconds <= resumed.wall_seconds
    whole = expectation(plan, second=0.001)
    works = [prediction.of_the_rest.work.seconds for prediction in whole.left.values()]
    assert 0 < resumed.predicted_trial_seconds.likely < sum(work.likely for work in works if work is not None)
    assert run(plan, tmp_path) is None, "nothing is left, so nothing is compared"
    on_record = launch_on_record(sweep_folder(tmp_path, plan), plan)
    assert on_record is not None and on_record.times == (stopped, resumed)


def test_a_record_of_times_that_cannot_be_written_fails_no_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("orchestrator.launch.driver.record_times", refused)
    plan, view = small_plan(tmp_path, steps="5"), Recorder()
    assert run(plan, tmp_path, view=view) is not None
    assert any("what the launch took is not on record: no space left" in notice for notice in view.notices)
    assert sum(name.endswith("result.json") for name in contents(tmp_path)) == len(plan.trials)


TIMES = LaunchTimes(
    began="2030-01-01T00:00:00.000+00:00", ended="2030-01-01T03:00:00.000+00:00", slots=2, trials=14, by_patience=3,
    trial_seconds=6.3 * 3600, predicted_trial_seconds=Span(low=4.1 * 3600, likely=5.8 * 3600, high=8.9 * 3600),
    wall_seconds=3.4 * 3600, predicted_wall_seconds=Span(low=2.2 * 3600, likely=3.1 * 3600, high=4.8 * 3600),
)  # fmt: skip


def test_it_is_said_in_one_sentence() -> None:
    assert times_text(TIMES) == (
        "14 trials, 3 of them ended by patience, took 6.3 h of trial time (predicted: about 5.8 h, 4.1 to 8.9), "
        "and the launch took 3.4 h of wall clock (predicted: about 3.1 h, 2.2 to 4.8)"
    )
    apart = (Uncompared(why="diverged", trials=1, seconds=720.0), Uncompared(why="not begun", trials=5, seconds=0.0))
    assert times_text(dataclasses.replace(TIMES, by_patience=0, predicted_wall_seconds=None, uncompared=apart)).endswith(
        "(predicted of all that was to do: unknown); not in the trial time: 1 diverged (12 min), 5 not begun"
    )
    assert times_text(dataclasses.replace(TIMES, trials=0)).startswith("no trial was finished, and the launch")


def test_finished_trials_without_a_prediction_are_finished() -> None:
    apart = (Uncompared(why="not begun", trials=3, seconds=0.0), Uncompared(why="of unknown cost", trials=9, seconds=1200.0))
    text = times_text(dataclasses.replace(TIMES, trials=0, uncompared=apart))
    assert text.startswith("9 trials finished in 20 min of trial time; none had a prediction, and the launch took")
    assert text.endswith("; not in the trial time: 3 not begun")
    assert "9 finished without a prediction (20 min)" in times_text(dataclasses.replace(TIMES, uncompared=apart))


def test_the_times_of_a_plan_are_kept_when_it_is_launched_again_and_the_newest_of_very_many(tmp_path: Path, plan: Plan) -> None:
    folder = sweep_folder(tmp_path, plan)
    record_times(folder, plan, TIMES)
    assert launch_on_record(folder, plan) is None, "without a launch on record there is nothing to add times to"
    record_launch(folder, plan)
    for number in range(MOST_TIMES + 1):
        record_times(folder, plan, dataclasses.replace(TIMES, trials=number))
    record_launch(folder, plan)
    launched = launch_on_record(folder, plan)
    assert launched is not None and [times.trials for times in launched.times] == [*range(1, MOST_TIMES + 1)]


def test_a_record_of_before_launches_had_times_is_read(tmp_path: Path, plan: Plan) -> None:
    folder = sweep_folder(tmp_path, plan)
    record_launch(folder, plan)
    (path,) = folder.glob("launches/*.json")
    plain = json.loads(path.read_text())
    assert plain.pop("times") == []
    path.write_text(json.dumps({key: value for key, value in plain.items() if key != "content_sha256"}))
    edit(path)
    launched = launch_on_record(folder, plan)
    assert launched is not None and launched.times == ()
