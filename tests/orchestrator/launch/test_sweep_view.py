"""What people see of a sweep: lines where nothing can be redrawn, a table with bars on a terminal."""

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from fsl_core.training.trial_records import ProgressRecord
from orchestrator.execution.job import EventKind, TrialEvent
from orchestrator.launch.live_view import LiveView
from orchestrator.launch.sweep_view import LineView, make_view
from orchestrator.launch.trial_table import Columns, shortened
from orchestrator.launch.trial_view import TrialView, sweep_seconds_left, views_at_start
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import finished
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
    view.start(plan, {}, {})
    view.phase("Ray is starting")
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
        "Ray is starting",
        f"{ours} {first}: running",
        f"{ours} {first}: step 30/100, validation 50.00 %",
        f"{ours} {first}: step 50/100, validation 62.50 %, 50 s left",
        f"{theirs} {second}: running",
        f"{theirs} {second}: failed: ValueError: no",
    ]


def drawn(plan: Plan, *, color: bool = False, height: int = 40, width: int = 160) -> str:
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, force_terminal=True, width=width, height=height, color_system="standard" if color else None)
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


def test_a_sweep_of_untrained_networks_gets_on_as_well(plan: Plan):
    shown = Screen(100)
    shown.view.trials = {str(seed): TrialView(name=f"s{seed}", state="done" if seed else "waiting") for seed in range(4)}
    assert any(line.startswith("all ") and "75 %" in line for line in shown.lines())


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


def followed(view: TrialView, *progress: tuple[int, int]) -> TrialView:
    """The view of a trial that starts at second 0 and then reports each second a step of so many."""
    view = view.after(TrialEvent(kind="started", fingerprint=""), 0.0)
    for second, (step, steps) in enumerate(progress, 1):
        view = view.after(TrialEvent(kind="progress", fingerprint="", step=step, steps=steps), float(second))
    return view


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [([(50, 100), (100, 100)], [(10, 80), (20, 80)], 6.0), ([(50, 100), (60, 100)], [(20, 100), (30, 100)], 7.0)],
    ids=["the second training", "an older checkpoint"],
)
def test_where_steps_begin_anew_so_do_pace_and_time_left(
    first: list[tuple[int, int]], second: list[tuple[int, int]], left: float
):
    """The second training of `retrain` was shown at its end, with 0 s or a negative time left, for its whole length."""
    view = followed(TrialView(name="", steps=100), *first, second[0])
    assert (view.step, view.steps) == second[0]
    assert view.seconds_left(3.0) is None and sweep_seconds_left([view], 3.0) is None
    view = followed(TrialView(name="", steps=100), *first, *second)
    assert (view.step, view.steps) == second[-1]
    assert view.seconds_left(4.0) == sweep_seconds_left([view], 4.0) == pytest.approx(left)


def test_a_trial_that_was_stopped_in_its_second_training_waits_with_what_is_left_of_that(plan: Plan):
    ours = plan.trials[0]
    progress = ProgressRecord(step=110, steps=120, best=0.5, train_seconds=1, attempts=1, started_at="", at="")
    record = TrialRecord(fingerprint=ours.fingerprint, progress=progress)
    view = views_at_start(plan, {}, {ours.fingerprint: record})[ours.fingerprint]
    running = TrialView(name="", state="running", step=20, steps=20, first_step=10, began=0.0)
    assert sweep_seconds_left([view, running], 1.0) == pytest.approx(1.0)


def test_the_end_of_the_first_training_is_not_taken_for_a_step_of_the_second():
    view = followed(TrialView(name="", steps=100), (100, 100), (30, 60), (60, 60))
    scored = view.after(TrialEvent(kind="scoring", fingerprint="", step=100), 4.0)
    assert (scored.step, scored.steps) == (60, 60)


def test_the_sweeps_pace_counts_all_trials_and_leaves_out_those_that_ended():
    def running(first: int, step: int) -> TrialView:
        return TrialView(name="", state="running", step=step, steps=100, first_step=first, began=0.0)

    views = [running(0, 40), running(50, 60), TrialView(name="", steps=100), TrialView(name="", state="failed", steps=100)]
    assert sweep_seconds_left(views, 10.0) == pytest.approx((60 + 40 + 100) * 10 / 50)
    assert sweep_seconds_left(views[2:], 10.0) is None


class Screen:
    """What a live view shows at one moment, line by line."""

    def __init__(self, width: int, height: int = 40) -> None:
        self.out, self.clock = io.StringIO(), Clock()
        self.view = LiveView(Console(file=self.out, width=width, height=height), self.clock)

    def lines(self) -> list[str]:
        with self.view.console.capture() as capture:
            self.view.console.print(self.view.draw())
        return capture.get().splitlines()


def screen(plan: Plan, width: int) -> Screen:
    """Both trials half way, one of them failed for a reason that takes many words."""
    shown = Screen(width)
    shown.view.trials = views_at_start(plan, {}, {})
    shown.view.title, shown.view.began = plan.spec.title, shown.clock.now
    shown.view.event(event(plan, "started"))
    shown.view.event(event(plan, "progress", step=30, validation_accuracy=0.5))
    shown.clock.now += 100
    shown.view.event(event(plan, "progress", step=50, validation_accuracy=0.625))
    shown.view.event(
        event(plan, "failed", 1, message="DataError: /a/long/path/that/no/terminal/holds/images.zip is damaged " * 3)
    )
    return shown


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (40, ["trial", "state", "step"]),
        (60, ["trial", "state", "step", "validation"]),
        (80, ["trial", "state", "step", "validation"]),
        (100, ["trial", "state", "step", "validation", "left"]),
        (140, ["trial", "state", "step", "validation", "left"]),
    ],
)
def test_on_a_narrow_terminal_columns_give_way_and_nothing_is_broken_over_lines(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, width: int, headings: list[str]
):
    """At 80 columns every row said "5w1s seed 0, …", and words were broken over lines."""
    names = ("matching cosine scale 10 FCE · glyphs 5w1s · s0", "matching cosine scale 10 FCE · glyphs 5w1s · s1")
    shown = screen(plan, width)
    shown.view.trials = {
        key: dataclasses.replace(view, name=name) for (key, view), name in zip(shown.view.trials.items(), names, strict=True)
    }
    lines = shown.lines()
    assert max(map(len, lines)) <= width
    assert lines[1].split() == headings
    rows = lines[2:4]
    assert re.search(r"running +50/100", rows[0]) and re.search(r"failed +0/100", rows[1])
    assert rows[0].split("  ")[0] != rows[1].split("  ")[0]
    assert ("━" in rows[0]) == (width >= 140)
    assert lines[4].startswith("all ")
    assert lines[5].startswith("matching cosine scale 10 FCE")  # why it failed
    assert "1 running, 1 failed" in lines[6]
    assert all(line.endswith(("start", ",")) for line in lines[6:])


def test_a_terminal_says_what_is_going_on_while_no_trial_does(plan: Plan):
    shown = Screen(100)
    shown.view.phase("checking the images")  # before there is a table
    assert shown.out.getvalue() == "checking the images\n"
    shown.view.trials = views_at_start(plan, {}, {})
    shown.view.phase("Ray is starting")
    shown.clock.now += 12
    assert "Ray is starting, 12 s" in shown.lines()
    shown.view.event(event(plan, "started"))
    assert not any("Ray" in line for line in shown.lines())


def test_a_trial_that_is_done_or_was_begun_before_shows_how_far_it_came(plan: Plan):
    """In a second launch trials that were done showed 0/100."""
    ours, theirs = plan.trials
    result = finished(ours.recipe, [])
    progress = ProgressRecord(
        step=40, steps=100, best=0.5, train_seconds=1, attempts=1, started_at="", at="", metrics={"validation_accuracy": 0.4}
    )
    records = {ours.fingerprint: result, theirs.fingerprint: TrialRecord(fingerprint=theirs.fingerprint, progress=progress)}
    done, begun = views_at_start(plan, {ours.fingerprint: "done"}, records).values()
    assert (done.state, done.step, done.steps, done.accuracy) == ("done", 200, 100, 0.75)
    assert (begun.state, begun.step, begun.steps, begun.accuracy) == ("waiting", 40, 100, 0.4), "that of step 40"


def test_a_trial_that_is_scored_says_so_and_has_no_time_left_to_train(plan: Plan):
    shown = screen(plan, 140)
    shown.view.event(event(plan, "progress", step=100))
    shown.view.event(event(plan, "scoring", step=100))
    row = next(line for line in shown.lines() if line.startswith(plan.trials[0].name))
    assert re.fullmatch(r".*  scoring +100/100  ━{18}     62.50 % *", row)


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["maml order 1", "maml order 2", "matching cosine scale 10 FCE"]), st.integers(1, 99), st.integers(0, 99)
    ),
    min_size=1,
    max_size=30,
    unique=True,
).map(lambda rows: tuple(f"{form} · omniglot {way}w1s · s{seed}" for form, way, seed in rows))


@given(
    names=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=10, unique=True).map(tuple), width=st.integers(1, 50)
)
def test_no_shortened_name_is_too_long(names: tuple[str, ...], width: int):
    short = shortened(names, width)
    assert set(short) == set(names)
    assert all(len(text) <= width for text in short.values())
    assert all(short[name] == name for name in names) or max(map(len, names)) > width


@given(names=NAMES, width=st.integers(24, 50))
def test_shortened_names_of_a_sweep_are_told_apart(names: tuple[str, ...], width: int):
    assert len(set(shortened(names, width).values())) == len(names)


def test_what_all_names_share_goes_before_what_tells_them_apart():
    names = tuple(f"maml order 2 · inner lr {rate} · s{seed} · glyphs 5w1s" for rate in (0.1, 0.4) for seed in (0, 1))
    mixed = ("matching cosine, scale 10 · s0 · glyphs 5w1s", *names)
    assert shortened(names, 60)[names[0]] == names[0]
    assert shortened(names, 34)[names[0]] == "maml order 2 · inner lr 0.1 · s0"
    assert shortened(names, 24)[names[0]] == "maml order 2 · 0.1 · s0"
    assert shortened(mixed, 34)[names[0]] == "maml order 2 · inner lr 0.1 · s0"
    assert shortened(mixed, 24)[names[0]] == "maml order … lr 0.1 · s0"


def test_the_end_of_a_number_is_not_shown_as_another_number():
    """``lr 0.0001`` was shortened to ``…001``."""
    names = tuple(f"prototypical cosine, scale 2.5 · lr {rate}" for rate in ("0.1", "0.01", "0.001", "0.0001", "0.0101"))
    for width in range(8, 40):
        short = shortened((*names, "matching"), width)
        assert all(short[name].replace("…", " ").split(" ")[-1] == name.split(" ")[-1] for name in names)


@given(width=st.integers(1, 200), name=st.integers(0, 90), step=st.integers(4, 15))
@example(width=41, name=0, step=4)
def test_columns_fit_wherever_they_can(width: int, name: int, step: int):
    columns = Columns.fitting(width, name=name, step=step)
    assert columns.width <= max(width, 1 + 2 + 8 + 2 + step)
    wider = Columns.fitting(width + 1, name=name, step=step)
    assert (wider.validation, wider.left, wider.bar) >= (columns.validation, columns.left, columns.bar)


def test_the_accuracy_beside_the_last_step_is_not_that_of_the_selected_one() -> None:
    def event(kind: EventKind, **values: Any) -> TrialEvent:
        return TrialEvent(fingerprint="f", kind=kind, step=300, steps=300, **values)

    view = TrialView(name="t").after(event("progress", metrics={"validation_accuracy": 0.993}, best=0.9936), 1.0)
    assert view.after(event("finished", best=0.9936), 2.0).accuracy == 0.993
