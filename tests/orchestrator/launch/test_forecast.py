"""Forecasts: start-up counted, what is done not, ranges kept, and unknown is never 0."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.datasets.extent import image_shape
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.recorded_kind import recorded_kind
from fsl_core.training.trial_records import ProgressRecord
from orchestrator.launch.cost import UNKNOWN, Cost, CostBook
from orchestrator.launch.forecast import ASK_FROM_TRIALS, Forecast, StartUp, make_forecast, makespan
from orchestrator.launch.path_choices import CHOOSING, COMPILING, LOADING, KnownPaths, PathChoice
from orchestrator.launch.prediction import Parts, Prediction
from orchestrator.launch.span import NOTHING, Span
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan
from tests.orchestrator.launch.test_cost import HERE, quiet, record, score
from tests.orchestrator.small_sweep import small_plan

START = StartUp(launch=Span(low=1, likely=2, high=3), trial=Span(low=10, likely=20, high=30))
NO_START = StartUp(launch=NOTHING, trial=NOTHING)


def forecast(plan: Plan, *, start: StartUp = NO_START, slots: int = 1, known: bool = True, **records: TrialRecord) -> Forecast:
    """Each trial's unit of work takes a second where it is ``known``."""
    book = CostBook(HERE)
    for trial in plan.trials if known else ():
        for work in book.unknown_work(trial.recipe, trial.evaluations):
            book.probed(work, quiet(1.0))
    found = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials} | records
    return make_forecast(plan, found, book, slots=slots, start=start)


def done(plan: Plan) -> dict[str, TrialRecord]:
    trial = plan.trials[0]
    scored = {each.fingerprint: score(trial.recipe, each) for each in trial.evaluations}
    return {trial.fingerprint: dataclasses.replace(record(trial.recipe, 5), evaluations=scored)}


@given(st.lists(st.floats(0, 1000), max_size=30), st.integers(1, 8))
def test_the_makespan_lies_between_its_bounds(seconds: list[float], slots: int) -> None:
    total, longest = sum(seconds), max(seconds, default=0.0)
    least = max(total / slots, longest)
    assert least - 1e-6 <= makespan(seconds, slots) <= total / slots + longest + 1e-6


def test_makespan_of_known_cases() -> None:
    assert makespan([3, 3, 2, 2, 2], 2) == pytest.approx(7)
    assert makespan([], 3) == 0


def test_start_up_is_counted_once_for_the_launch_and_once_for_each_trial(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    with_start, without = (forecast(plan, start=start).total_seconds for start in (START, NO_START))
    assert with_start is not None and without is not None
    assert with_start.likely - without.likely == pytest.approx(2 + 2 * 20)
    assert with_start.high - without.high == pytest.approx(3 + 2 * 30)


def test_what_is_unknown_is_no_number(tmp_path: Path) -> None:
    expected = forecast(small_plan(tmp_path), known=False)
    assert expected.total_seconds is None and expected.unknown == 2 and expected.asks_first
    assert all(prediction.whole is None and prediction.left is None for prediction in expected.predictions.values())


def test_a_trial_of_unknown_cost_starts_first(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    known = forecast(plan)
    prediction = known.predictions[plan.trials[1].fingerprint]
    unknown = {plan.trials[1].fingerprint: dataclasses.replace(prediction, of_the_rest=Parts(start_up=UNKNOWN))}
    seconds = dataclasses.replace(known, predictions={**known.predictions, **unknown}).longest_first
    assert max(plan.trials, key=lambda trial: seconds[trial.fingerprint]) == plan.trials[1]


def test_a_trial_that_is_done_takes_nothing_more(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    expected = forecast(plan, start=START, **done(plan))
    first, second = (expected.predictions[trial.fingerprint] for trial in plan.trials)
    assert expected.done == {plan.trials[0].fingerprint}
    assert first.left == NOTHING and first.whole is not None and second.left is not None
    assert expected.total_seconds == START.launch + second.left


def test_a_sweep_that_is_done_takes_nothing_at_all(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    one = dataclasses.replace(plan, trials=plan.trials[:1])
    assert forecast(one, start=START, **done(plan)).total_seconds == NOTHING


def test_what_a_checkpoint_keeps_is_not_counted_again(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    name = plan.trials[0].fingerprint
    half = ProgressRecord(step=10, steps=20, best=None, train_seconds=9, attempts=1, started_at="", at="")
    expected = forecast(plan, **{name: TrialRecord(fingerprint=name, progress=half)}).predictions
    first, second = (expected[trial.fingerprint].left for trial in plan.trials)
    assert first is not None and second is not None and first.likely < second.likely


def test_a_prediction_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    for prediction in forecast(small_plan(tmp_path), start=START).predictions.values():
        parts = [prediction.of_all.start_up, prediction.of_all.training, prediction.of_all.evaluations]
        assert prediction.whole is not None
        assert prediction.whole.likely == pytest.approx(sum(part.seconds.likely for part in parts if part.seconds))


def test_a_trained_trial_is_only_scored(tmp_path: Path) -> None:
    plan = small_plan(tmp_path)
    name, recipe = plan.trials[0].fingerprint, plan.trials[0].recipe
    left = forecast(plan, **{name: record(recipe, 5)}).predictions[name].left
    whole = forecast(plan).predictions[name].whole
    assert left is not None and whole is not None and 0 < left.likely < whole.likely


def test_what_is_left_of_a_training_done_elsewhere_is_known_by_its_scoring(tmp_path: Path) -> None:
    """How long the training took on another machine is not known here, and need not be."""
    plan = small_plan(tmp_path)
    trial = plan.trials[0]
    records = {each.fingerprint: TrialRecord(fingerprint=each.fingerprint) for each in plan.trials}
    records[trial.fingerprint] = record(trial.recipe, 5, device_name="another")
    book = CostBook(HERE)
    for work in book.unknown_work(trial.recipe, trial.evaluations, trained=True):
        book.probed(work, quiet(1.0))
    prediction = make_forecast(plan, records, book, slots=1, start=NO_START).predictions[trial.fingerprint]
    assert prediction.left is not None and prediction.left_basis == "probe"
    assert prediction.whole is None and prediction.basis == "unknown"


def test_patience_is_told_apart_from_the_range(tmp_path: Path) -> None:
    patient, endless = small_plan(tmp_path, patience="5"), small_plan(tmp_path)
    earliest, total = forecast(patient).earliest_seconds, forecast(patient).total_seconds
    assert earliest is not None and total is not None and earliest < total.likely
    assert forecast(endless).earliest_seconds is None


def test_a_launch_of_very_many_short_trials_asks_as_well(tmp_path: Path) -> None:
    tenth = Parts(start_up=Cost(Span.of([0.1]), "probe"))
    second = Prediction(of_all=tenth, of_the_rest=tenth, earliest=0.1, memory_bytes=1, disk_bytes=1)

    def of(trials: int) -> Forecast:
        return Forecast(
            predictions={str(i): second for i in range(trials)}, done=frozenset(), slots=1, start=NO_START, machine=HERE
        )

    assert not of(ASK_FROM_TRIALS).asks_first
    assert of(ASK_FROM_TRIALS + 1).asks_first
    assert of(20_000).asks_first


def test_a_long_launch_asks(tmp_path: Path) -> None:
    assert forecast(small_plan(tmp_path), start=StartUp(launch=Span.of([1801.0]), trial=NOTHING)).asks_first


GPU = dataclasses.replace(HERE, device="cuda", device_name="a GPU")


def on_a_gpu(
    plan: Plan, seconds: float, *, learnt: Sequence[TrialRecord] = (), known: KnownPaths | None = None, **records: TrialRecord
) -> Forecast:
    """Each unit of work takes so many seconds on a GPU; ``learnt`` are other trials under the runs root."""
    book = CostBook(GPU)
    for trial in plan.trials:
        for work in book.unknown_work(trial.recipe, trial.evaluations):
            book.probed(work, quiet(seconds))
    book.learn([*records.values(), *learnt])
    found = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials} | records
    return make_forecast(plan, found, book, slots=1, start=START, known=known)


def begun(name: str) -> TrialRecord:
    progress = ProgressRecord(step=1, steps=20, best=None, train_seconds=1, attempts=1, started_at="", at="")
    return TrialRecord(fingerprint=name, progress=progress)


def stored(folder: Path, recipe: TrainingRecipe, *, compiled: bool = False, **changes: Any) -> KnownPaths:
    """The choice that a launch left for the recipe's kind of step."""
    kind = recorded_kind(recipe, image_shape(recipe.data), "cuda")
    machine = {"device_name": "a GPU", "threads": 1, "torch": HERE.torch, "instructions": "AVX2", "seeds": 3}
    document = {"path": {"device": "cuda", "compiled": compiled}, "kind": {**kind, **machine, **changes}, "measured": []}
    (folder / "choices").mkdir(exist_ok=True)
    (folder / "choices" / "0123456789abcdef.json").write_text(json.dumps(document))
    return KnownPaths.read(folder / "choices", GPU, given=None)


def test_on_a_gpu_the_first_trial_of_each_kind_of_step_chooses_its_path(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, seeds="0,1")
    kinds = {trial.recipe.without_seed for trial in plan.trials}
    expected = on_a_gpu(plan, 1e-3)
    firsts = [name for name, choice in expected.choices.items() if choice == PathChoice(chooses=True)]
    assert len(firsts) == len(kinds) < len(plan.trials) == len(expected.choices)
    for name, prediction in expected.predictions.items():
        for parts in (prediction.of_all, prediction.of_the_rest):
            assert parts.start_up.seconds == START.trial
            assert parts.choice.seconds == (CHOOSING if name in firsts else NOTHING)
        assert prediction.whole == prediction.left
    assert not forecast(plan).choices, "on a CPU it takes a few steps"


@pytest.mark.parametrize("chosen", [True, False])
def test_the_compilation_of_a_long_training_is_counted(chosen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsl_core.training.recorded_kind.COMPILED_STEPS_ARE_CHOSEN", chosen)
    expected = on_a_gpu(small_plan(tmp_path, seeds="0,1"), 100.0)
    assert {choice.chooses for choice in expected.choices.values()} == {True, False}
    for name, choice in expected.choices.items():
        assert choice == (PathChoice(chooses=True, compiles=chosen) if choice.chooses else PathChoice(loads=chosen))
        seconds = expected.predictions[name].of_the_rest.work.seconds
        assert seconds is not None and seconds.likely > choice.seconds.likely
        if chosen:
            assert choice.seconds == (CHOOSING + COMPILING if choice.chooses else LOADING)
        else:
            assert choice.seconds == (CHOOSING if choice.chooses else NOTHING)


def test_a_trial_whose_kind_of_step_has_a_path_here_chooses_none(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, seeds="0,1")
    first = plan.trials[0].recipe
    alike = [trial.fingerprint for trial in plan.trials if trial.recipe.without_seed == first.without_seed]
    for compiled in (False, True):
        choices = on_a_gpu(plan, 1e-3, known=stored(tmp_path, first, compiled=compiled)).choices
        assert {choices[name] for name in alike} == {PathChoice(loads=compiled)}
    elsewhere: list[dict[str, Any]] = [
        {"device_name": "another GPU"},
        {"threads": 2},
        {"torch": "1"},
        {"candidates": 1},
        {"steps": 1},
    ]
    for changes in elsewhere:
        assert on_a_gpu(plan, 1e-3, known=stored(tmp_path, first, **changes)).choices == on_a_gpu(plan, 1e-3).choices
    (tmp_path / "choices" / "0123456789abcdef.json").write_text("[]")
    assert KnownPaths.read(tmp_path / "choices", GPU, given=None) == KnownPaths()


def test_a_trial_of_another_length_does_not_spare_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps cost the same, but whether compiling pays depends on their number."""
    monkeypatch.setattr("fsl_core.training.recorded_kind.COMPILED_STEPS_ARE_CHOSEN", True)
    short, long = small_plan(tmp_path, seeds="0"), small_plan(tmp_path, seeds="0", steps="400000")
    finished = [record(trial.recipe, 5, device="cuda", device_name="a GPU") for trial in short.trials]
    expected = on_a_gpu(long, 1e-3, learnt=finished)
    assert {prediction.left_basis for prediction in expected.predictions.values()} != {"unknown"}
    assert {choice.compiles for choice in expected.choices.values()} == {True}


def test_a_trial_that_began_chooses_none(tmp_path: Path) -> None:
    plan = small_plan(tmp_path, seeds="0,1")
    name, recipe = plan.trials[0].fingerprint, plan.trials[0].recipe
    assert name not in on_a_gpu(plan, 100.0, **{name: begun(name)}).choices, "what it has is not known"
    known = stored(tmp_path, recipe, compiled=True)
    assert on_a_gpu(plan, 100.0, known=known, **{name: begun(name)}).choices[name] == PathChoice(loads=True)
    done = record(recipe, 5, device="cuda", device_name="a GPU")
    assert name not in on_a_gpu(plan, 100.0, **{name: done}).choices


@pytest.mark.parametrize("compiled", [True, False])
def test_a_given_path_is_not_chosen_but_may_be_compiled(compiled: bool, tmp_path: Path) -> None:
    plan, file = small_plan(tmp_path, seeds="0,1"), tmp_path / "path.json"
    file.write_text(json.dumps({"path": {"device": "cuda", "compiled": compiled}}))
    choices = on_a_gpu(plan, 100.0, known=KnownPaths.read(tmp_path / "none", GPU, given=file)).choices.values()
    wanted = {PathChoice(compiles=True), PathChoice(loads=True)} if compiled else {PathChoice()}
    assert len(choices) == len(plan.trials) and set(choices) == wanted
