"""Costs: learnt from trials before probed, of this machine alone, and honest about what is unknown."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.timing import BUSY_FROM, Timing
from fsl_core.training.trial_records import ExecutionRecord, ScoringRecord
from fsl_core.training.unit_work import evaluation_bill
from orchestrator.launch.cost import OTHER_CODE_RANGE, PROBE_RANGE, TRIALS_RANGE, UNKNOWN, Cost, CostBook, together
from orchestrator.launch.span import Span
from orchestrator.records.remembered import Machine, Remembered, key
from orchestrator.records.trial_record import TrialRecord
from tests.made_up_answers import made_up
from tests.orchestrator.small_sweep import small_plan

HERE = Machine(device="cpu", device_name="a processor", threads=1, torch="2.9")
COMPUTED = {
    "host": "h", "device": "cpu", "device_name": "a processor", "threads": 1, "finished_at": "", "versions": {"torch": "2.9"},
}  # fmt: skip


def record(
    recipe: TrainingRecipe, seconds: float, *, evaluation: Evaluation | None = None, stopped_by: str = "budget", **changes: object
) -> TrialRecord:
    """A trial that is done; with ``evaluation`` it was scored in a second."""
    steps = int(changes.pop("steps", recipe.steps))  # type: ignore[call-overload]
    result = TrialResult(
        recipe=recipe, status="complete", stopped_by=stopped_by, steps_done=steps, selected_step=steps, validation_loss=0.7,
        validation_accuracy=0.5, weights_digest="0", data_digest="0", curves=changes.pop("curves", {}),
    )  # type: ignore[arg-type]  # fmt: skip
    computed = {**COMPUTED, **changes}
    scorings = {evaluation.fingerprint: ScoringRecord(seconds=1.0, **computed)} if evaluation else {}  # type: ignore[arg-type]
    execution = ExecutionRecord(
        train_seconds=seconds, steps=steps, attempts=1, started_at="", evaluations=scorings, **computed  # type: ignore[arg-type]
    )  # fmt: skip
    scores = {evaluation.fingerprint: score(recipe, evaluation)} if evaluation else {}
    return TrialRecord(fingerprint=recipe.fingerprint, result=result, execution=execution, evaluations=scores)


def score(recipe: TrainingRecipe, evaluation: Evaluation) -> EvaluationResult:
    return EvaluationResult(
        recipe_fingerprint=recipe.fingerprint, evaluation=evaluation, weights_digest="0", data_digest="0", episodes_digest="0",
        **made_up((0,) * evaluation.episodes, evaluation.shape),
    )  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path) -> TrainingRecipe:
    return small_plan(tmp_path).trials[0].recipe


def quiet(*seconds: float) -> Timing:
    """A probe on a machine that did nothing else."""
    return Timing(seconds=tuple(seconds), wall=tuple(seconds))


def busy(*seconds: float, times: float = 4.0) -> Timing:
    """A probe while other programs had the processor: its wall clock is so many times its own seconds."""
    return Timing(seconds=seconds, wall=tuple(times * each for each in seconds))


def per_step(book: CostBook, recipe: TrainingRecipe) -> Cost:
    return book.training(recipe, Span.of([1.0]))


def probed(book: CostBook, recipe: TrainingRecipe, seconds: float = 1.0) -> CostBook:
    for work in book.unknown_work(recipe, ()):
        book.probed(work, quiet(seconds))
    return book


def test_what_nothing_is_known_of_is_unknown(recipe: TrainingRecipe) -> None:
    assert per_step(CostBook(HERE), recipe) == UNKNOWN


def test_a_step_is_learnt_from_trials_of_the_kind_on_this_machine(recipe: TrainingRecipe) -> None:
    book = CostBook(HERE)
    other_seed = dataclasses.replace(recipe, seed=7)
    book.learn([record(other_seed, 40), record(dataclasses.replace(recipe, seed=8), 60)])
    assert per_step(book, recipe) == Cost(
        Span(low=2 * TRIALS_RANGE["low"], likely=2.5, high=3 * TRIALS_RANGE["high"]), "earlier trials"
    )
    assert per_step(probed(book, recipe), recipe).basis == "earlier trials"


@pytest.mark.parametrize(
    "change", [{"device": "cuda"}, {"device_name": "another"}, {"threads": 2}, {"versions": {"torch": "2.8"}}, {"versions": {}}]
)
def test_nothing_is_learnt_from_another_machine_or_torch(recipe: TrainingRecipe, change: dict[str, object]) -> None:
    book = CostBook(HERE)
    book.learn([record(recipe, 40, **change)])
    assert per_step(book, recipe) == UNKNOWN


def test_trials_of_other_code_count_only_where_nothing_else_is_known(recipe: TrainingRecipe, tmp_path: Path) -> None:
    evaluation = small_plan(tmp_path).trials[0].evaluations[0]
    old, new = (record(recipe, 40, evaluation=evaluation, code_digest=letter * 64) for letter in "ab")
    book = CostBook(HERE, code="b" * 64)
    book.learn([old])
    wide = Span.of([2.0], **OTHER_CODE_RANGE)
    assert per_step(book, recipe) == Cost(wide, "trials of other code")
    assert book.evaluation(recipe, evaluation).basis == "trials of other code"
    assert book.unknown_work(recipe, [evaluation]), "what this code takes is still to be timed"
    assert per_step(probed(book, recipe), recipe).basis == "probe"
    book = CostBook(HERE, code="b" * 64)
    book.learn([old, new])
    assert per_step(book, recipe) == Cost(Span.of([2.0], **TRIALS_RANGE), "earlier trials")
    assert book.evaluation(recipe, evaluation).basis == "earlier trials" and not book.unknown_work(recipe, [evaluation])


def test_a_second_training_counts_its_steps(recipe: TrainingRecipe) -> None:
    twice = dataclasses.replace(recipe, retrain=True)
    book = CostBook(HERE)
    book.learn([record(twice, 40, curves={"retrain_train_loss": ((5, 1.0), (20, 1.0))})])
    step = per_step(book, recipe).seconds
    assert step is not None and step.likely == 1.0


def test_an_evaluation_is_learnt_apart_from_the_training(recipe: TrainingRecipe, tmp_path: Path) -> None:
    evaluation = small_plan(tmp_path).trials[0].evaluations[0]
    book = CostBook(HERE)
    book.learn([record(recipe, 40, evaluation=evaluation)])
    known = book.evaluation(recipe, evaluation)
    assert known.basis == "earlier trials" and known.seconds is not None and known.seconds.likely == 1.0
    assert book.evaluation(recipe, dataclasses.replace(evaluation, seed=1)) == known
    assert book.evaluation(recipe, dataclasses.replace(evaluation, episodes=7)) == UNKNOWN


def test_probes_of_this_command_and_remembered_ones_say_which_they_are(recipe: TrainingRecipe) -> None:
    new = probed(CostBook(HERE), recipe)
    assert per_step(new, recipe).basis == "probe"
    works = CostBook(HERE).unknown_work(recipe, ())
    remembered = CostBook(HERE, Remembered(of_this_code={key(work): quiet(1.0) for work in works}))
    assert remembered.unknown_work(recipe, ()) == ()
    assert per_step(remembered, recipe) == Cost(per_step(new, recipe).seconds, "remembered probe")


def test_a_probe_has_a_range(recipe: TrainingRecipe) -> None:
    seconds = per_step(probed(CostBook(HERE), recipe), recipe).seconds
    assert seconds is not None
    assert seconds.low == pytest.approx(PROBE_RANGE["low"] * seconds.likely)
    assert seconds.high == pytest.approx(PROBE_RANGE["high"] * seconds.likely)


def remembering(recipe: TrainingRecipe, timing: Timing) -> CostBook:
    return CostBook(HERE, Remembered(of_this_code=timings(recipe, timing)))


def timings(recipe: TrainingRecipe, timing: Timing) -> Mapping[str, Timing]:
    return {key(work): timing for work in CostBook(HERE).unknown_work(recipe, ())}


@pytest.mark.parametrize(("timing", "high"), [(quiet(1.0), OTHER_CODE_RANGE["high"]), (busy(1.0), 4.0)], ids=["quiet", "busy"])
def test_probes_of_other_code_count_only_where_nothing_else_is_known(recipe: TrainingRecipe, timing: Timing, high: float) -> None:
    remembered = Remembered(of_other_code=timings(recipe, timing))
    book, of_a_second = CostBook(HERE, remembered, "b" * 64), per_step(remembering(recipe, quiet(1.0)), recipe).seconds
    cost = per_step(book, recipe)
    assert cost.basis == "probes of other code" and cost.seconds is not None and of_a_second is not None
    assert cost.seconds.low == pytest.approx(OTHER_CODE_RANGE["low"] * of_a_second.likely)
    assert cost.seconds.high == pytest.approx(high * of_a_second.likely)
    assert book.unknown_work(recipe, ()) == CostBook(HERE).unknown_work(recipe, ()), "this code is still to be timed"
    assert per_step(probed(book, recipe), recipe).basis == "probe"
    book = CostBook(HERE, remembered, "b" * 64)
    book.learn([record(recipe, 40, code_digest="a" * 64)])
    assert per_step(book, recipe).basis == "trials of other code", "whole trials are more reliable than probes"


def test_a_probe_on_a_busy_machine_is_marked_and_its_range_reaches_to_its_wall_clock(recipe: TrainingRecipe) -> None:
    book = remembering(recipe, busy(1.0))
    by_quiet, by_busy = per_step(remembering(recipe, quiet(1.0)), recipe), per_step(book, recipe)
    assert by_busy.basis == "busy probe" and by_busy.seconds is not None and by_quiet.seconds is not None
    assert (by_busy.seconds.low, by_busy.seconds.likely) == (by_quiet.seconds.low, by_quiet.seconds.likely)
    assert by_busy.seconds.high == pytest.approx(by_quiet.seconds.high * 4.0 / PROBE_RANGE["high"])
    assert set(book.busy_work(recipe, ())) == set(CostBook(HERE).unknown_work(recipe, ()))
    assert remembering(recipe, quiet(1.0)).busy_work(recipe, ()) == () == book.unknown_work(recipe, ())


@pytest.mark.parametrize(
    ("new", "source", "likely"),
    [(quiet(3.0), "probe", 3.0), (busy(1.0), "busy probe", 1.0), (busy(3.0), "busy probe", 2.0)],
    ids=["quiet", "busy and quicker", "busy and slower"],
)
def test_of_two_probes_the_surer_one_counts(recipe: TrainingRecipe, new: Timing, source: str, likely: float) -> None:
    """A step is never quicker than by itself, so of two busy probes the quicker one is nearer to the truth."""
    book, of_a_second = remembering(recipe, busy(2.0)), per_step(remembering(recipe, quiet(1.0)), recipe).seconds
    for work in book.busy_work(recipe, ()):
        book.probed(work, new)
    cost = per_step(book, recipe)
    assert cost.basis == source and cost.seconds is not None and of_a_second is not None
    assert cost.seconds.likely == pytest.approx(likely * of_a_second.likely)


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (quiet(1.0, 1.2), False), (busy(1.0, times=BUSY_FROM), False), (busy(1.0, times=BUSY_FROM + 0.01), True),
        (Timing(seconds=(1.0,)), True), (Timing(seconds=(1.0, 1.0, 1.0), wall=(1.0, 1.0, 9.0)), True),
    ],
)  # fmt: skip
def test_a_machine_is_busy_from_a_stated_factor_on_or_where_nobody_noted_the_wall_clock(timing: Timing, expected: bool) -> None:
    assert timing.busy is expected


def test_validation_and_evaluation_are_in_the_bill(recipe: TrainingRecipe, tmp_path: Path) -> None:
    trial = small_plan(tmp_path).trials[0]
    book = probed(CostBook(HERE), recipe)
    rarely = dataclasses.replace(recipe, validation=dataclasses.replace(recipe.validation, every=20))
    often, seldom = per_step(book, recipe).seconds, per_step(book, rarely).seconds
    assert often is not None and seldom is not None and often.likely > seldom.likely > 1.0
    assert set(book.unknown_work(recipe, trial.evaluations)) <= {
        work for each in trial.evaluations for work, _ in evaluation_bill(recipe, each)
    }


def test_an_untrained_network_costs_its_validation(recipe: TrainingRecipe) -> None:
    untrained = dataclasses.replace(recipe, steps=0)
    assert all(work.kind != "train" for work in CostBook(HERE).unknown_work(untrained, ()))
    cost = probed(CostBook(HERE), untrained).training(untrained, Span.of([0.0]))
    assert cost.seconds is not None and cost.seconds.likely > 0


def test_other_seeds_say_when_patience_ends_a_trial(recipe: TrainingRecipe) -> None:
    book = CostBook(HERE)
    assert book.steps(recipe) == Span.of([20])
    for seed, steps in ((5, 10), (6, 15), (7, 15)):
        book.learn([record(dataclasses.replace(recipe, seed=seed), 9, steps=steps, stopped_by="patience")])
    book.learn([record(dataclasses.replace(recipe, seed=8), 9, steps=5, stopped_by="divergence")])
    assert book.steps(recipe) == Span(low=10, likely=15, high=20)


def test_something_unknown_makes_the_whole_unknown() -> None:
    known = Cost(Span.of([1.0]), "earlier trials")
    assert together([known, UNKNOWN]) == UNKNOWN
    assert together([known, Cost(Span.of([2.0]), "probe")]) == Cost(Span.of([3.0]), "probe")


def test_of_a_device_that_is_elsewhere_any_model_counts(recipe: TrainingRecipe) -> None:
    """Such as a cluster's GPUs, looked at from a head without one."""
    book = CostBook(Machine(device="cuda", device_name=None, threads=1, torch="2.9"))
    book.learn([record(recipe, 40, device="cuda", device_name="a GPU")])
    assert per_step(book, recipe).basis == "earlier trials"
