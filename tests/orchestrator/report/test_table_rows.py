"""Rows: means over seeds, two error bars, and nothing where nothing is known."""

import dataclasses
import statistics
from pathlib import Path

import pytest

from orchestrator.report.table_rows import CellRow, table_rows
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.spec import with_dataset
from tests.orchestrator.report.reported_sweep import SWEEP, diverged, finished, plan_of, records_of, registries, score


def rows(folder: Path, correct: dict[int, list[int]], **overrides: object) -> tuple[CellRow, ...]:
    plan = plan_of(folder, **overrides)  # type: ignore[arg-type]
    return table_rows(plan, records_of(plan, correct), registries())


def test_a_sweep_without_results_has_rows_without_numbers(tmp_path: Path) -> None:
    for row in rows(tmp_path, {}):
        assert (row.reproduced, row.ci95_episodes, row.std_seeds, row.difference) == (None, None, None, None)
        assert (row.seeds_done, row.seeds_wanted, row.verdict) == (0, 3, "pending")
    assert [[number.accuracy for number in row.published] for row in rows(tmp_path, {})] == [[98.8], [96.0]]


def test_numbers_by_hand(tmp_path: Path) -> None:
    """Two seeds of 5-way episodes with 75 queries: 74 and 75 right in turn, and 73 always."""
    row = rows(tmp_path, {0: [74, 75], 1: [73]})[0]
    first, second = 100 * 74.5 / 75, 100 * 73 / 75
    assert row.reproduced == pytest.approx((first + second) / 2)
    assert row.std_seeds == pytest.approx(statistics.stdev([first, second]))
    by_episode = [100 * (a + 73) / 150 for a in (74, 75)] * 500
    assert row.ci95_episodes == pytest.approx(1.959964 * statistics.stdev(by_episode) / 1000**0.5, rel=1e-6)
    assert row.difference == pytest.approx(row.reproduced - 98.8)
    assert row.seeds_done == 2 and "provisional" in row.verdict


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    row = rows(tmp_path, {0: [74]})[0]
    assert row.reproduced is not None and row.std_seeds is None


def test_diverged_seeds_are_counted_and_not_averaged(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    records = records_of(plan, {0: [74], 1: [74]})
    records[plan.trials[2].fingerprint] = diverged(plan.trials[2].recipe)
    row = table_rows(plan, records, registries())[0]
    assert row.seeds_done == 2
    assert row.verdict.endswith("1 of 3 seeds diverged")


def test_seeds_with_other_episodes_are_omitted_with_a_note(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    records = records_of(plan, {0: [74], 1: [10]})
    trial = plan.trials[1]
    other = [dataclasses.replace(score(trial.recipe, each, [10]), episodes_digest="x") for each in trial.evaluations]
    records[trial.fingerprint] = finished(trial.recipe, other)
    row = table_rows(plan, records, registries())[0]
    assert row.reproduced == pytest.approx(100 * 74 / 75)
    assert any("1 of 2 seeds left out" in text for text in row.differs)


def test_rows_of_other_images_under_one_name_say_so(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWEEP.replace("grid: {", "grid: {filters: [8, 16], "))
    records = records_of(plan, {0: [74]})
    assert not any("images" in text for row in table_rows(plan, records, registries()) for text in row.differs)
    changed = next(
        trial for trial in plan.trials if trial.fingerprint in {recipe.fingerprint for recipe in plan.cells[0].recipes}
    )
    other = [dataclasses.replace(score(changed.recipe, each, [74]), data_digest="x") for each in changed.evaluations]
    records[changed.fingerprint] = finished(changed.recipe, other)
    found = table_rows(plan, records, registries())
    alone = sum(changed.fingerprint in row.trials for row in found)
    notes = [next((text for text in row.differs if "images" in text), None) for row in found]
    assert len(found) == 4 and 0 < alone < 4
    for row, note in zip(found, notes, strict=True):
        others = 4 - alone if changed.fingerprint in row.trials else alone
        assert note == f"other images than {others} row{'s' * (others > 1)} of the same data settings"


def test_glyphs_are_never_compared_with_a_published_number(tmp_path: Path) -> None:
    plan = build_plan(with_dataset(plan_of(tmp_path).spec, "glyphs"))
    for row in table_rows(plan, records_of(plan, {0: [74]}), registries()):
        assert (row.published, row.compared, row.difference) == ((), None, None)
        assert row.verdict == "no published number"


def test_another_training_shape_is_not_comparable_and_a_short_sweep_is_short(tmp_path: Path) -> None:
    other = rows(tmp_path, {0: [74]}, set_values=["train_query=7"])[0]
    assert other.verdict.startswith("not comparable (train_query 7, published 5")
    plan = plan_of(tmp_path)
    short = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, short=True))
    assert table_rows(short, records_of(plan, {0: [74]}), registries())[0].verdict.startswith("short run (10000 training steps")


def test_missing_retraining_is_noted_and_stays_comparable(tmp_path: Path) -> None:
    as_published = [74] * 9 + [75]  # 98.8% of 75
    row = rows(tmp_path, dict.fromkeys(range(3), as_published), set_values=["retrain=false"])[0]
    assert row.verdict == "reproduced"
    assert any("meta-validation" in text for text in row.differs)


def test_a_verdict_has_its_interval_and_its_assumptions(tmp_path: Path) -> None:
    """One seed knows nothing of its spread; a prior of 0.105 logits and 4 degrees of freedom is 0.13 points at 98.7%."""
    row = rows(tmp_path, {0: [74]})[0]
    share, spread = 98.6667 / 100, 0.105105
    trainings = 2.776445 * spread * 100 * share * (1 - share) * 2**0.5
    assert row.ci95_difference == pytest.approx(trainings, rel=0.05) and row.ci95_difference > trainings
    assert row.assumed == ("how far trainings lie apart is taken from other sources, for want of seeds",)
    other = rows(tmp_path, {0: [74]}, set_values=["train_query=7"])[0]
    assert (other.ci95_difference, other.assumed) == (None, ())


def test_seeds_of_the_table_replace_the_spread_of_other_sources(tmp_path: Path) -> None:
    """Five seeds of one training: four degrees of freedom."""
    text = SWEEP.replace("[0, 1, 2]", "[0, 1, 2, 3, 4]")
    plan = plan_of(tmp_path, text)
    row = table_rows(plan, records_of(plan, {seed: [74, 74 + seed % 2] for seed in range(5)}), registries())[0]
    assert row.assumed == () and row.seeds_done == 5
