"""Probes within bounds: what trains most first, no unit of work twice, and what was measured is kept whatever happens."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.launch.cost import UNKNOWN, CostBook
from orchestrator.launch.probing import UnknownKind, busy_works, probe, probe_again, unknown_kinds
from orchestrator.launch.span import Span
from orchestrator.records.remembered import Remembered, key
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.orchestrator.launch.test_cost import HERE, busy, quiet, record, score


def elsewhere(recipe: TrainingRecipe) -> TrialRecord:
    """The record of a trial that was trained on another machine, so that nothing is learnt from it here."""
    return record(recipe, 40, device_name="another")


GRID = """
name: grid
title: A grid
seeds: [0, 1]
fixed: {dataset: glyphs, split: glyphs, way: 5, shot: 1}
grid:
  filters: [4, 8, 16]
  outer_lr: [0.1, 0.01, 0.001]
  scale: [1.0, 2.0]
  steps: [1000, 2000]
"""

NONE: Mapping[str, TrialRecord] = {}


class Probes:
    """Probes a plan's unknown kinds, a second a unit; remembers what was measured and kept."""

    def __init__(self, folder: Path, text: str = GRID) -> None:
        path = folder / "grid.yaml"
        path.write_text(text)
        self.plan = build_plan(load_sweep(path))
        self.book = CostBook(HERE)
        self.measured: list[UnitWork] = []
        self.kept: Mapping[UnitWork, Timing] = {}
        self.shown: list[tuple[int, int]] = []

    def measure(self, work: UnitWork) -> Timing:
        self.measured.append(work)
        return quiet(1.0)

    def keep(self, measured: Mapping[UnitWork, Timing]) -> None:
        self.kept = measured

    def kinds(self, records: Mapping[str, TrialRecord] = NONE) -> list[UnknownKind]:
        every = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in self.plan.trials}
        return unknown_kinds(self.plan, {**every, **records}, self.book)

    def run(self, records: Mapping[str, TrialRecord] = NONE, **bounds: float) -> None:
        kinds = self.kinds(records)
        probe(kinds, self.book, self.measure, progress=lambda *at: self.shown.append(at), keep=self.keep, **bounds)  # type: ignore[arg-type]


@pytest.fixture
def probes(tmp_path: Path) -> Probes:
    return Probes(tmp_path)


def test_rates_scales_seeds_and_budgets_are_not_probed_anew(probes: Probes) -> None:
    assert len(probes.plan.trials) == 72
    probes.run()
    assert sum(work.kind == "train" for work in probes.measured) == 3
    assert len(set(probes.measured)) == len(probes.measured) <= 3 * 3
    assert probes.kinds() == []
    assert probes.shown == [(1, 3), (2, 3), (3, 3)]


def test_a_bound_leaves_the_kinds_that_train_least_unknown(tmp_path: Path) -> None:
    longer = f"{GRID}\nexclude: [{{filters: 4, steps: 2000}}, {{filters: 16, steps: 1000}}]"
    probes = Probes(tmp_path, longer)
    probes.run(most=2)
    left = probes.kinds()
    assert [work.backbone.filters for kind in left for work in kind.works if work.kind == "train"] == [4]  # type: ignore[union-attr]


def test_no_probe_begins_after_the_time_is_up(probes: Probes) -> None:
    probes.run(enough=-1.0)
    assert probes.measured == [] and probes.kept == {}


def test_trials_that_are_done_are_not_probed(probes: Probes) -> None:
    records = {}
    for trial in probes.plan.trials:
        scores = {each.fingerprint: score(trial.recipe, each) for each in trial.evaluations}
        records[trial.fingerprint] = dataclasses.replace(elsewhere(trial.recipe), evaluations=scores)
    probes.run(records)
    assert probes.measured == []


def test_of_trials_that_are_trained_only_the_scoring_is_probed(probes: Probes) -> None:
    probes.run({trial.fingerprint: elsewhere(trial.recipe) for trial in probes.plan.trials})
    assert {work.kind for work in probes.measured} == {"embed", "compare"}


def test_what_was_measured_is_kept_when_probing_is_interrupted(probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: UnitWork) -> Timing:
        if len(probes.measured) == 2:
            raise KeyboardInterrupt
        probes.measured.append(work)
        return quiet(1.0)

    monkeypatch.setattr(probes, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        probes.run()
    assert list(probes.kept) == probes.measured and len(probes.measured) == 2


def known_by_busy_probes(probes: Probes) -> list[UnitWork]:
    """Have the book know every unit by a probe on a busy machine."""
    works = list(dict.fromkeys(work for kind in probes.kinds() for work in kind.works))
    probes.book = CostBook(HERE, Remembered(of_this_code={key(work): busy(2.0) for work in works}))
    return works


def again(probes: Probes, **bounds: float) -> None:
    every = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in probes.plan.trials}
    wanted = busy_works(probes.plan, every, probes.book)
    probe_again(wanted, probes.book, probes.measure, keep=probes.keep, **bounds)


def test_what_was_measured_on_a_busy_machine_is_measured_again(probes: Probes) -> None:
    works = known_by_busy_probes(probes)
    assert probes.kinds() == []
    again(probes)
    assert set(probes.measured) == set(probes.kept) == set(works) and len(probes.measured) == len(works)
    again(probes)
    assert len(probes.measured) == len(works), "what a quiet machine said is not measured a third time"


def test_a_machine_that_is_busy_still_costs_one_probe(probes: Probes, monkeypatch: pytest.MonkeyPatch) -> None:
    works = known_by_busy_probes(probes)
    monkeypatch.setattr(probes, "measure", lambda work: busy(1.0))
    again(probes)
    assert list(probes.kept) == works[:1]


def test_nothing_is_measured_again_after_the_time_is_up(probes: Probes) -> None:
    known_by_busy_probes(probes)
    again(probes, enough=-1.0)
    assert probes.measured == [] and probes.kept == {}


def test_what_this_device_cannot_do_is_not_probed(tmp_path: Path) -> None:
    """A plan for a GPU can be looked at on a CPU: its trainings in TF32 are unknown there, all else of them is measured."""
    probes = Probes(tmp_path, f"{GRID}  matmul_precision: [tf32]\n")
    probes.run()
    assert probes.measured and not [work for work in probes.measured if work.kind == "train"]
    assert probes.book.training(probes.plan.trials[0].recipe, Span.of([10])) == UNKNOWN
    probes.book = CostBook(dataclasses.replace(HERE, device="cuda"))
    probes.run()
    assert {work.matmul_precision for work in probes.measured if work.kind == "train"} == {"tf32"}
