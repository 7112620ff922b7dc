"""What people see of a sweep: lines where nothing can be redrawn, a table with bars on a terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.execution.job import EventKind, TrialEvent
from orchestrator.plan import Plan
from orchestrator.progress import LineView, LiveView, TrialView, make_view, spell_seconds, sweep_seconds_left
from tests.orchestrator.small_sweep import small_plan


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return small_plan(tmp_path, steps="100")


def event(plan: Plan, kind: EventKind, index: int = 0, *, step: int = 0, message: str = "", **metrics: float) -> TrialEvent:
    trial = plan.trials[index]
    return TrialEvent(kind=kind, fingerprint=trial.fingerprint, step=step, steps=100, metrics=metrics, message=message)


def feed(view: LineView | LiveView, plan: Plan, clock: Clock) -> None:
    """One trial half way after a resume, one failed."""
    view.start(plan, {})
    view.event(event(plan, "started"))
    clock.now += 10
    view.event(event(plan, "progress", step=30, validation_accuracy=0.5))
    clock.now += 20
    view.event(event(plan, "progress", step=50, validation_accuracy=0.625))
    view.event(event(plan, "started", 1))
    view.event(event(plan, "failed", 1, message="ValueError: no"))


def test_without_a_terminal_every_event_is_one_line(plan: Plan):
    lines: list[str] = []
    clock = Clock()
    feed(LineView(lines.append, clock), plan, clock)
    first, second = (trial.name for trial in plan.trials)
    ours, theirs = (trial.fingerprint for trial in plan.trials)
    assert lines == [
        "small: 2 cells, 2 trials, 0 of them done before",
        f"{ours} {first}: running",
        f"{ours} {first}: step 30/100, validation 50.00 %",
        f"{ours} {first}: step 50/100, validation 62.50 %, 50 s left",
        f"{theirs} {second}: running",
        f"{theirs} {second}: failed: ValueError: no",
    ]


def drawn(plan: Plan, *, color: bool = False, height: int = 40) -> str:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=True, width=160, height=height, color_system="standard" if color else None)
    view = LiveView(console, clock)
    feed(view, plan, clock)
    view.notice("a notice")
    view.stop()
    return out.getvalue()


def test_a_terminal_shows_each_trial_its_accuracy_and_the_time_that_is_left(plan: Plan):
    text = drawn(plan)
    rows = [line for line in text.splitlines() if line.startswith(plan.trials[0].name)]
    assert re.search(r"running\s+50/100\s+\S+\s+62\.50 %\s+50 s", rows[-1])
    assert "ValueError: no" in text
    assert "a notice" in text


def test_a_terminal_shows_how_far_the_whole_sweep_is(plan: Plan):
    last = [line for line in drawn(plan).splitlines() if "25 %" in line][-1]
    assert re.search(r"all\s+\S+.*25 %\s+50 s left", last)


def test_a_low_terminal_shows_what_runs_and_counts_the_rest(plan: Plan):
    text = drawn(plan, height=6)
    assert "1 not shown" in text


@pytest.mark.parametrize("color", [True, False])
def test_colour_is_a_choice(plan: Plan, color: bool):
    assert ("\x1b[36mrunning" in drawn(plan, color=color)) == color


def test_no_color_is_honoured(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in drawn(plan, color=True)


def test_the_view_fits_where_it_is_shown():
    assert isinstance(make_view(Console(file=io.StringIO(), force_terminal=True)), LiveView)
    assert isinstance(make_view(Console(file=io.StringIO())), LineView)


def test_a_resumed_trials_pace_counts_only_the_steps_of_this_launch():
    view = TrialView(name="", steps=100)
    kinds: list[tuple[EventKind, int]] = [("started", 0), ("progress", 80), ("progress", 90)]
    for second, (kind, step) in enumerate(kinds):
        view = view.after(TrialEvent(kind=kind, fingerprint="", step=step, steps=100), float(second))
    assert view.seconds_left(2.0) == pytest.approx(1.0)


def test_the_sweeps_pace_counts_all_trials_and_leaves_out_those_that_ended():
    def running(first: int, step: int) -> TrialView:
        return TrialView(name="", state="running", step=step, steps=100, first_step=first, began=0.0)

    views = [running(0, 40), running(50, 60), TrialView(name="", steps=100), TrialView(name="", state="failed", steps=100)]
    assert sweep_seconds_left(views, 10.0) == pytest.approx((60 + 40 + 100) * 10 / 50)
    assert sweep_seconds_left(views[2:], 10.0) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (130, "2 min 10 s"), (3899, "1 h 04 min"), (90000, "25 h 00 min")]
)
def test_durations_are_spelt_in_two_units(seconds: float, text: str):
    assert spell_seconds(seconds) == text
