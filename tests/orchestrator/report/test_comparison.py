"""Differences of rows: paired wherever both answered the same, with honest intervals, and never paired otherwise."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from orchestrator.errors import ComparisonError, ExportError, SweepFileError
from orchestrator.report.comparison import Comparison, compare, holm
from orchestrator.report.comparison_folder import write_comparison
from orchestrator.report.comparison_pairs import choose_pairs, selected
from orchestrator.report.comparison_row import ComparedRow, Questions, read_rows, rows_of_tables
from orchestrator.report.comparison_text import render_comparison
from orchestrator.report.export import frames, write_exports
from orchestrator.report.json_keys import COMPARISON_KEYS
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.cell_settings import descriptions
from tests.orchestrator.report.equal_rows import RATIOS, coverage, own_rule, welch_rule
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries
from tests.verdicts_document import COMPARED_SEEDS
from tests.verdicts_document import PATH as VERDICTS

FIRST_EDITION = Path(__file__).parents[3] / "results" / "first_edition"
SAME = Questions("sha256-e", ("e-1", "sha256-d"), 10)
SWEEP = """
name: compared
title: Two distances and two shots
published: []
seeds: [0, 1]
fixed: {algorithm: matching, dataset: glyphs, split: glyphs, way: 5, query: 15, evaluation_episodes: 50, train_way: 5}
grid: {distance: [squared_euclidean, cosine], shot: [1, 5]}
"""


def row(accuracies: dict[int, np.ndarray], questions: Questions = SAME, **settings: object) -> ComparedRow:
    cell = f"c-{abs(hash(str(sorted(settings.items())))):016x}"
    return ComparedRow(
        table="t", number=1, cell=cell, name="", settings=settings, questions=questions, by_seed=accuracies, trials=(cell,)
    )


def one(first: ComparedRow, second: ComparedRow) -> Comparison:
    (compared,) = compare([(first, second)])
    return compared


@pytest.mark.parametrize(
    ("sweep", "rows", "unpaired", "paired", "correlation"),
    [("matching_omniglot", ("5", "7"), 0.37, 0.18, 0.78), ("mini_imagenet_short", ("2", "4"), 1.72, 0.89, 0.74)],
)
def test_on_committed_exports_pairing_halves_the_interval(
    sweep: str, rows: tuple[str, str], unpaired: float, paired: float, correlation: float
) -> None:
    (pair,) = choose_pairs([read_rows(FIRST_EDITION / sweep)], rows=rows).pairs
    found = one(*pair)
    assert found.paired_by == "evaluation", "the first edition's exports have no digest of the episodes"
    assert [round(value, 2) for value in (found.ci95_unpaired, found.ci95_episodes)] == [unpaired, paired]
    assert found.ci95 == pytest.approx(found.ci95_episodes) and not found.spread_known, "one seed tells no spread"
    assert found.correlation == pytest.approx(correlation, abs=0.005)


def test_one_seed_gives_the_paired_test_over_episodes() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(70, 5, (2, 1000)) + random.normal(0, 8, 1000)
    found, expected = one(row({0: first}), row({0: second})), ttest_rel(second, first)
    low, high = expected.confidence_interval(0.95)
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert found.ci95 == pytest.approx((high - low) / 2, rel=0.01)
    assert found.p == pytest.approx(expected.pvalue, rel=0.01)


def test_many_episodes_give_the_paired_test_over_seeds() -> None:
    """Where the episodes say all alike, only the seeds' differences count, by Student's t."""
    before, after = (70.0, 71.0, 69.5, 70.5), (71.0, 73.5, 70.0, 72.5)
    first, second = (row({seed: np.full(100, value) for seed, value in enumerate(values)}) for values in (before, after))
    found, expected = one(first, second), ttest_rel(after, before)
    low, high = expected.confidence_interval(0.95)
    assert found.ci95 == pytest.approx((high - low) / 2)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.std_seeds == pytest.approx(np.std(np.subtract(after, before), ddof=1))
    assert found.ci95_episodes == 0


@pytest.mark.parametrize("seeds", [((0, 1, 2), (0, 1, 2)), ((0, 1, 2), (3, 4, 5))])
def test_equal_rows_differ_significantly_in_at_most_one_of_twenty_cases(seeds: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Episodes and seeds both vary; the luck of the episodes is shared, so an unpaired test would hardly ever decide."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        luck = random.normal(0, 8, 200)
        rows = [row({seed: 70 + random.normal(0, 0.8) + luck + random.normal(0, 3, 200) for seed in own}) for own in seeds]
        found = one(*rows)
        assert found.ci95_episodes < 0.5 * found.ci95_unpaired
        wrong += found.p < 0.05
        assert (found.p < 0.05) == (abs(found.difference) > found.ci95)
    assert 0 < wrong / 400 <= 0.06


def test_two_seeds_are_as_uncertain_as_the_paired_test_over_seeds_says() -> None:
    """Differences of 23 and 25 have a t of 24 with one degree of freedom, whatever the episodes add."""
    random = np.random.default_rng(4)
    noise = random.normal(0, 2, 600)
    noise -= noise.mean()
    first = row({0: np.full(600, 60.0), 1: np.full(600, 60.0)})
    found = one(first, row({0: 83 + noise, 1: 85 + noise}))
    expected = ttest_rel([83, 85], [60, 60])
    assert found.difference == pytest.approx(24)
    assert found.ci95 == pytest.approx(np.hypot(12.706, found.ci95_episodes), abs=0.01)
    assert expected.pvalue < found.p < 1.05 * expected.pvalue


def test_two_seeds_cover_the_truth_and_are_rarely_significant() -> None:
    found, welch = (coverage(2, 4.0, np.random.default_rng(5), draws=500, rule=rule) for rule in (own_rule, welch_rule))
    assert found.covered >= 0.93 and found.significant <= 0.02
    assert welch.covered < 0.9 and welch.significant > 0.05, "the simulation detects a rule that is too sure"


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("ratio", RATIOS)
def test_few_seeds_cover_the_truth_at_every_ratio_of_the_errors(seeds: int, ratio: float) -> None:
    found = coverage(seeds, ratio, np.random.default_rng(5), draws=4000)
    assert found.covered >= 0.94 and found.significant <= 0.015


def test_the_document_has_the_coverage_of_every_number_of_seeds() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\d.]+ / ){3}[\d.]+ \|", VERDICTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(seeds) for seeds, _ in rows] == list(COMPARED_SEEDS), "python -m tests.verdicts_document"


def test_only_seeds_that_both_have_are_paired() -> None:
    first = row({seed: np.array([50.0, 60.0]) + seed for seed in (0, 1, 2)})
    second = row({seed: np.array([51.0, 62.0]) + seed for seed in (1, 2, 9)})
    found = one(first, second)
    assert found.seeds == (1, 2) and found.seeds_differ
    assert (found.first_accuracy, found.second_accuracy, found.std_seeds) == (56.5, 58.0, 0.0)


@pytest.mark.parametrize(
    ("other", "paired"),
    [
        (SAME, "episodes"),
        (Questions("sha256-e", ("e-2", "sha256-other"), 10), "episodes"),
        (Questions("sha256-f", SAME.derived_from, 10), None),
        (Questions(None, SAME.derived_from, 10), None),
        (Questions("sha256-e", SAME.derived_from, 11), None),
    ],
)
def test_equal_digests_alone_are_paired(other: Questions, paired: str | None) -> None:
    accuracies = {0: np.arange(10.0)}
    found = one(row(accuracies), row(accuracies, other))
    assert found.paired_by == paired
    assert (found.correlation is None) == (paired is None)
    assert found.ci95_episodes == (0 if paired else pytest.approx(found.ci95_unpaired))


def test_exports_without_digests_are_paired_by_everything_that_determines_episodes() -> None:
    old = Questions(None, ("e-1", "sha256-d", "omniglot", "vinyals", "True"), 10)
    assert old.pairing(old) == "evaluation"
    for place in range(len(old.derived_from)):
        changed = (*old.derived_from[:place], "other", *old.derived_from[place + 1 :])
        assert old.pairing(dataclasses.replace(old, derived_from=changed)) is None


def test_holm_matches_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_p_values_are_adjusted_over_all_comparisons() -> None:
    random = np.random.default_rng(2)
    rows = [row({0: random.normal(70 + place / 4, 5, 500)}) for place in range(4)]
    compared = compare([(rows[0], other) for other in rows[1:]])
    assert [each.p_holm for each in compared] == pytest.approx(holm([each.p for each in compared]))


@pytest.fixture
def rows(tmp_path: Path) -> tuple[ComparedRow, ...]:
    plan = plan_of(tmp_path, SWEEP)
    records = records_of(plan, {0: [60, 70], 1: [65, 75, 66]})
    return rows_of_tables(frames(plan, records, table_rows(plan, records, registries())), "compared")


def names(pairs: object) -> list[tuple[int, int]]:
    return [(first.number, second.number) for first, second in pairs.pairs]  # type: ignore[attr-defined]


def test_rows_are_read_from_exports(rows: tuple[ComparedRow, ...], tmp_path: Path) -> None:
    plan = plan_of(tmp_path, SWEEP)
    records = records_of(plan, {0: [60, 70], 1: [65, 75, 66]})
    write_exports(frames(plan, records, table_rows(plan, records, registries())), tmp_path / "out", "parquet")
    read = read_rows(tmp_path / "out")
    assert [(each.cell, each.settings, each.questions, each.accuracy) for each in read] == [
        (each.cell, each.settings, each.questions, each.accuracy) for each in rows
    ]
    for each, cell in zip(read, plan.cells, strict=True):
        assert each.settings == {
            key: value for key, value in dataclasses.asdict(cell.settings).items() if key in each.settings and value is not None
        }
        assert {"way", "shot", "query", "distance", "steps", "evaluation_episodes"} <= each.settings.keys()
        assert each.seeds == (0, 1) and each.classes is not None
        assert each.accuracy == pytest.approx(100 / 75 * (65 + 68.6) / 2, abs=0.1)


def test_one_table_pairs_rows_of_the_same_episodes_or_along_a_setting(rows: tuple[ComparedRow, ...]) -> None:
    everything = names(choose_pairs([rows]))
    assert everything == [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)], "made-up records all have one digest"
    by_distance = names(choose_pairs([rows], by="distance"))
    assert len(by_distance) == 2 and len(names(choose_pairs([rows], by="shot"))) == 2
    number = {each.number: each.settings for each in rows}
    assert all(number[first]["shot"] == number[second]["shot"] for first, second in by_distance)
    assert names(choose_pairs([rows], rows=("distance=squared_euclidean", "distance=cosine"))) == by_distance
    assert names(choose_pairs([rows], rows=("2", rows[2].cell))) == [(2, 3)]
    assert names(choose_pairs([selected(rows, ["shot=1"])])) == [pair for pair in by_distance if number[pair[0]]["shot"] == 1]


def test_rows_of_two_presets_are_compared_despite_their_other_differences() -> None:
    text, code = (
        row({0: np.arange(10.0)}, preset=preset, algorithm="maml", inner_lr=rate, way=5)
        for preset, rate in (("paper", 0.4), ("reference", 0.1))
    )
    other = row({0: np.arange(10.0)}, preset="reference", algorithm="maml", inner_lr=0.1, way=20)
    (pair,) = choose_pairs([(text, code, other)], by="preset").pairs
    assert pair == (text, code) and one(*pair).unlike == ("preset", "inner_lr")


def test_rows_along_a_setting_agree_in_every_setting_that_does_not_follow_from_it() -> None:
    short, untrained, second = (
        dataclasses.replace(row({0: np.arange(9.0)}, order=order, steps=steps, train_shot=order), number=number)
        for number, (order, steps) in enumerate([(1, 1000), (1, 0), (2, 1000)], 1)
    )
    found = choose_pairs([(short, untrained, second)], by="order")
    assert names(found) == [(1, 3)], "train_shot follows from order here, steps does not"
    assert found.left_out == ("row 2 of t: no row differs in order alone, but also in steps",)
    waiting = dataclasses.replace(short, by_seed={})
    for rows in ([waiting, untrained, second], [untrained, second]):
        with pytest.raises(
            ComparisonError, match=r"no two rows of t differ in order alone; --rows FIRST SECOND compares any two"
        ):
            choose_pairs([rows], by="order")


def test_the_listed_accuracies_are_over_the_compared_seeds() -> None:
    first = row({0: np.array([50.0, 60.0]), 1: np.array([90.0, 91.0])})
    text = render_comparison(compare([(first, dataclasses.replace(row({0: np.array([61.0, 67.0])}), number=2))]), (), "text")
    lines = [line.split() for line in text.splitlines()]
    assert ["1", "55.00", "seed", "0"] in lines and ["2", "64.00", "seed", "0"] in lines


def test_two_tables_pair_the_same_cells(rows: tuple[ComparedRow, ...]) -> None:
    later = [dataclasses.replace(each, table="later", settings={**each.settings, "steps": 7}) for each in rows[:3]]
    found = choose_pairs([rows, later])
    assert names(found) == [(1, 1), (2, 2), (3, 3)]
    assert found.left_out == ("row 4 of compared: no counterpart",)
    assert {each.unlike for each in compare(found.pairs)} == {("steps",)}
    swapped = [dataclasses.replace(each, settings={**each.settings, "distance": "cosine"}) for each in later]
    with pytest.raises(ComparisonError, match="has several counterparts"):
        choose_pairs([rows[2:], swapped], by="distance")


FORMS = {"algorithm", "distance", "fce", "order", "evaluation_adaptation_steps", "inductive", "backbone"}


@pytest.mark.parametrize("key", sorted(FORMS | {key for key, said in descriptions().items() if said.form == "always"}))
def test_two_forms_of_an_algorithm_are_no_same_cell(key: str) -> None:
    one_form, other = (dataclasses.replace(row({0: np.arange(9.0)}, **{key: value}), table=str(value)) for value in (1, 2))
    with pytest.raises(ComparisonError, match="share no cell"):
        choose_pairs([[one_form], [other]])


def test_the_same_cell_may_have_another_scale() -> None:
    ours, theirs = (dataclasses.replace(row({0: np.arange(9.0)}, scale=value), table=str(value)) for value in (1.0, 10.0))
    assert choose_pairs([[ours], [theirs]]).pairs == ((ours, theirs),)


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ({"by": "distances"}, "did you mean 'distance'"),
        ({"by": "fce"}, "no two rows of compared differ in fce alone"),
        ({"rows": ("1", "9")}, "no row is '9'.*the rows are 1 matching"),
        ({"rows": ("1", "shots=5")}, "--rows shots=5: unknown setting 'shots'; did you mean 'shot'"),
        ({"rows": ("1", "shot=[1, 5]")}, "--rows takes one value per key"),
        ({"rows": ("1", "2"), "by": "shot"}, "--rows names rows of one table"),
    ],
)
def test_an_impossible_comparison_is_an_error_with_the_reason(
    rows: tuple[ComparedRow, ...], choice: dict[str, object], problem: str
) -> None:
    with pytest.raises((ComparisonError, SweepFileError), match=problem):
        choose_pairs([rows], **choice)  # type: ignore[arg-type]


def test_a_row_without_a_finished_seed_is_omitted_with_a_note(rows: tuple[ComparedRow, ...]) -> None:
    waiting = [*rows[:2], dataclasses.replace(rows[2], by_seed={}, questions=None), rows[3]]
    found = choose_pairs([waiting])
    assert found.left_out == ("row 3 of compared: no finished seed",)
    assert all(3 not in pair for pair in names(found))
    with pytest.raises(ComparisonError, match="row 3 of compared: no finished seed"):
        choose_pairs([waiting], rows=("1", "3"))


def test_a_row_of_one_episode_is_omitted_with_a_note(rows: tuple[ComparedRow, ...]) -> None:
    single = [*rows[:2], dataclasses.replace(rows[2], by_seed={0: np.array([70.0])})]
    assert choose_pairs([single]).left_out == ("row 3 of compared: one test episode, so no interval",)
    with pytest.raises(ComparisonError, match="row 3 of compared: one test episode"):
        choose_pairs([single], rows=("1", "3"))


def test_one_training_scored_in_two_ways_is_compared(rows: tuple[ComparedRow, ...]) -> None:
    first, otherwise = rows[0], dataclasses.replace(rows[0], evaluation="e-otherwise")
    assert one(first, first).same_scores and not one(first, otherwise).same_scores
    said = [" ".join(render_comparison(compare([(first, other)]), (), "text").split()) for other in (first, otherwise)]
    assert "scored alike: nothing is compared" in said[0] and "nothing is compared" not in said[1]
    assert "the same trainings, scored in two ways" in said[1]


@pytest.mark.parametrize("choice", [{}, {"by": "distance"}, {"rows": ("1", "3")}])
def test_a_table_without_results_is_an_error_in_one_sentence(rows: tuple[ComparedRow, ...], choice: Any) -> None:
    waiting = [dataclasses.replace(each, by_seed={}, questions=None) for each in rows]
    with pytest.raises(ComparisonError, match=r"^no row of compared has a finished seed yet$"):
        choose_pairs([waiting], **choice)


def test_every_format_has_every_comparison(rows: tuple[ComparedRow, ...], tmp_path: Path) -> None:
    pairs = choose_pairs([rows], by="distance")
    compared = compare(pairs.pairs)
    notices: list[str] = []
    written = write_comparison(tmp_path, compared, pairs.left_out, notice=notices.append)
    assert [path.name for path in written] == [f"comparison.{form}" for form in ("txt", "json", "csv", "png")] and not notices
    listed = json.loads((tmp_path / "comparison.json").read_text())["comparisons"]
    assert [list(each) for each in listed] == [list(COMPARISON_KEYS)] * 2
    assert listed[0]["unlike"][0].startswith("distance squared_euclidean and cosine")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "comparison.csv").read_text())))
    assert [float(line["difference"]) for line in lines] == [each["difference"] for each in listed]
    text = render_comparison(compared, ("row 9: no counterpart",), "text")
    for each in compared:
        assert f"{each.second.number} − {each.first.number}  {each.difference:+.2f} ± {each.ci95:.2f}" in text
    assert "left out: row 9: no counterpart" in text and "paired by evaluation" not in text


def test_the_text_notes_unpaired_rows_and_single_seeds() -> None:
    compared = compare([(row({0: np.arange(10.0)}), row({0: np.arange(10.0)}, Questions("sha256-f", (), 10)))])
    text = " ".join(render_comparison(compared, (), "text").split())
    assert "NOT PAIRED" in text and "too few seeds" in text


@pytest.mark.parametrize(("episodes", "noted"), [(99, True), (100, False)])
def test_the_text_notes_few_episodes(episodes: int, noted: bool) -> None:
    """Two rows whose difference is the same in each of a few episodes differ with p = 0."""
    asked = Questions("sha256-e", (), episodes)
    first, second = row({0: np.arange(float(episodes))}, asked), row({0: np.arange(float(episodes)) + 1}, asked)
    text = " ".join(render_comparison(compare([(first, second)]), (), "text").split())
    assert ("fewer than 100 test episodes" in text) == noted


def test_a_row_lists_its_seeds_so_that_seed_0_does_not_read_as_none() -> None:
    one_seed, two_seeds = ({seed: np.arange(10.0) for seed in seeds} for seeds in ((0,), (0, 2)))
    for seeds, said in ((one_seed, ["seed", "0"]), (two_seeds, ["seeds", "0,", "2"])):
        pair = (row(seeds), dataclasses.replace(row(seeds), number=2))
        lines = [line.split() for line in render_comparison(compare([pair]), (), "text").splitlines()]
        assert ["1", "4.50", *said] in lines and ["2", "4.50", *said] in lines


def test_a_difference_has_an_open_interval_where_the_classes_are_known() -> None:
    random = np.random.default_rng(3)
    classes = random.random((300, 20)).argsort(axis=1)[:, :5]
    effect = random.normal(0, 10, 20)[classes].mean(axis=1)
    first, second = row({0: np.full(300, 70.0)}), row({0: 71 + effect + random.normal(0, 2, 300)})
    found = one(dataclasses.replace(first, classes=classes), dataclasses.replace(second, classes=classes))
    assert found.ci95_classes is not None and found.ci95_classes > 2 * found.ci95_episodes
    assert one(first, second).ci95_classes is None


def test_a_folder_that_holds_no_exports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has no cells\.parquet"):
        read_rows(tmp_path)
    for name in ("cells", "trials", "episodes"):
        (tmp_path / f"{name}.parquet").write_bytes(b"PAR1")
    with pytest.raises(ExportError, match=r"cells\.parquet cannot be read"):
        read_rows(tmp_path)
