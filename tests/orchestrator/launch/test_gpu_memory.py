"""The share of a GPU: by the largest measured peak, never below the default, and with a reason where nothing is measured."""

import dataclasses
from pathlib import Path

import pytest

from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import evaluation_bill, probed_episodes, step_bill, validation_bill
from orchestrator.execution.compute import GPU_SHARE
from orchestrator.launch.cost import CostBook
from orchestrator.launch.gpu_memory import CONTEXT_BYTES, MOST_SHARING, SAFETY, MeasuredPeaks, gpu_share
from orchestrator.records.remembered import Machine, Remembered, key
from tests.orchestrator.launch.test_cost import record
from tests.orchestrator.small_sweep import small_plan

GPU = {"device": "cuda", "device_name": "a GPU"}
HERE = Machine(threads=1, torch="2.9", **GPU)
CODE = "a" * 64
GIB = 2**30


@pytest.fixture
def recipe(tmp_path: Path) -> TrainingRecipe:
    return small_plan(tmp_path).trials[0].recipe


def probe(peak: int | None) -> Timing:
    return Timing(seconds=(1.0,), wall=(1.0,), peak_bytes=peak)


@pytest.mark.parametrize(
    ("peak", "trials"), [(0, MOST_SHARING), (int(1.5 * GIB), 3), (2 * GIB, 2), (4 * GIB, 1), (100 * GIB, 1)], ids=str
)
def test_as_many_trials_share_a_gpu_as_have_room(peak: int, trials: int) -> None:
    assert gpu_share([0, peak], 8 * GIB).share == pytest.approx(1 / trials)
    assert trials == 1 or trials * (peak * SAFETY + CONTEXT_BYTES) <= 8 * GIB


def test_seeds_that_train_together_need_the_memory_of_as_many_trials() -> None:
    assert gpu_share([GIB], 16 * GIB).share == 1 / 4
    assert gpu_share([GIB], 16 * GIB, seeds_together=lambda sharing: 12 // sharing).share == 1, "12, 6, 4 or 3 seeds a process"
    assert gpu_share([GIB], 20 * GIB, seeds_together=lambda sharing: 12 // sharing).share == 1 / 4


def test_the_default_share_says_that_nothing_is_measured() -> None:
    nothing, elsewhere, some = gpu_share([None, None], 8 * GIB), gpu_share([GIB], None), gpu_share([None, 4 * GIB], 8 * GIB)
    assert nothing.share == elsewhere.share == GPU_SHARE
    assert nothing.unmeasured == "the memory of 2 trials on this GPU is not measured yet"
    assert elsewhere.unmeasured is not None and "not this machine's" in elsewhere.unmeasured
    assert some.share == 1 and some.unmeasured == "the memory of 1 trial on this GPU is not measured yet"
    assert gpu_share([GIB], 8 * GIB).unmeasured is None


def book_of(*peaks: int, recipe: TrainingRecipe, code: str = CODE, **where: str) -> CostBook:
    book = CostBook(HERE, code=CODE)
    trials = (record(recipe, 40, **{**GPU, **where}, peak_memory_bytes=peak, code_digest=code) for peak in peaks)
    book.learn(trials)
    return book


def test_a_trial_needs_what_the_smallest_of_its_kind_took(recipe: TrainingRecipe) -> None:
    """A reused worker's peak includes the larger trials before it."""
    book = book_of(3 * GIB, GIB, 2 * GIB, recipe=recipe)
    assert book.peaks.of_trial(dataclasses.replace(recipe, seed=9), ()) == GIB
    assert book.peaks.of_trial(dataclasses.replace(recipe, meta_batch_size=99), ()) is None


def test_peaks_of_other_gpus_and_of_other_code_do_not_count(recipe: TrainingRecipe) -> None:
    for other in (book_of(GIB, recipe=recipe, device_name="another"), book_of(GIB, recipe=recipe, code="b" * 64)):
        assert other.peaks.of_trial(recipe, ()) is None


def test_a_trial_that_never_ran_needs_the_largest_of_its_probed_units(tmp_path: Path, recipe: TrainingRecipe) -> None:
    evaluations = small_plan(tmp_path).trials[0].evaluations[:1]
    ((step, _),) = step_bill(recipe)
    units = [work for bill in (validation_bill(recipe), evaluation_bill(recipe, evaluations[0])) for work, _ in bill]
    remembered = Remembered(of_this_code={key(work): probe(number) for number, work in enumerate([step, *units])})
    book = CostBook(HERE, remembered, CODE)
    assert book.peaks.of_trial(recipe, evaluations) == len(units)
    book.probed(step, probe(GIB))
    assert book.peaks.of_trial(recipe, evaluations) == GIB
    more = dataclasses.replace(recipe, meta_batch_size=3 * probed_episodes(recipe.algorithm))
    assert book.peaks.of_trial(more, evaluations) == 3 * GIB, "more episodes may be differentiated together"
    book.probed(units[0], probe(None))
    assert book.peaks.of_trial(recipe, evaluations) is None


def test_without_probes_nothing_is_known(recipe: TrainingRecipe) -> None:
    assert MeasuredPeaks({}).of_trial(recipe, ()) is None
