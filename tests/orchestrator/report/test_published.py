"""Published numbers: true to their sources, each row once, and files that are wrong are refused by file, line and key."""

import dataclasses
from pathlib import Path

import pytest

from orchestrator.errors import RegistryError
from orchestrator.report.published import PublishedCell, load_registries
from orchestrator.sweep.cell_settings import CellSettings
from tests.orchestrator.report.printed_numbers import FOUR, printed
from tests.orchestrator.report.reported_sweep import registries

VALID = """
id: mine
title: Mine
label: Mine
kind: paper
source: arXiv 0000.00000
protocols: {omniglot: {split: vinyals}}
cells:
  - {table: Table 1, algorithm: prototypical, dataset: omniglot, way: 5, shot: 1, accuracy: 98.8}
"""


def settings(**changes: object) -> CellSettings:
    plain = {"dataset": "omniglot", "split": "vinyals", "train_way": 60, "way": 5, "shot": 1, **changes}
    return CellSettings(**plain)  # type: ignore[arg-type]


def load(folder: Path, text: str, name: str = "mine") -> None:
    (folder / f"{name}.yaml").write_text(text)
    load_registries(folder)


@pytest.mark.parametrize(
    ("source", "table", "algorithm", "variant", "expected"),
    [
        ("vinyals_2016", "Table 1", "matching", {"fine_tuned": False}, [98.1, 98.9, 93.8, 98.5]),
        ("vinyals_2016", "Table 1", "matching", {"fine_tuned": True}, [97.9, 98.7, 93.5, 98.7]),
        ("vinyals_2016", "Table 1", "siamese", {"fine_tuned": False}, [96.7, 98.4, 88.0, 96.5]),
        ("snell_2017", "Table 1", "prototypical", {}, [98.8, 99.7, 96.0, 98.9]),
        ("finn_2017", "Table 1", "maml", {"backbone": "conv4"}, [98.7, 99.9, 95.8, 98.9]),
        ("knagg_2018", "README", "prototypical", {}, [98.2, 99.4, 95.8, 98.6]),
        ("knagg_2018", "README", "matching", {"distance": "cosine"}, [92.0, 93.2, 75.6, 77.8]),
        ("knagg_2018", "README", "matching", {"distance": "squared_euclidean"}, [98.3, 99.8, 92.8, 97.8]),
        ("knagg_2018", "README", "maml", {"order": 1}, [95.5, 99.5, 92.2, 97.7]),
        ("knagg_2018", "README", "maml", {"order": 2}, [98.1, 99.8, 91.6, 95.9]),
    ],
)
def test_omniglot_as_printed(source: str, table: str, algorithm: str, variant: dict[str, object], expected: list[float]) -> None:
    cells = printed(source, table, algorithm, "omniglot", **variant)
    assert [(cell.way, cell.shot) for cell in cells] == FOUR
    assert [cell.accuracy for cell in cells] == expected


def test_mini_imagenet_as_printed_with_its_intervals() -> None:
    snell = printed("snell_2017", "Table 2", "prototypical", "mini_imagenet")
    assert [(cell.accuracy, cell.ci95, cell.decimals, cell.episodes) for cell in snell] == [
        (49.42, 0.78, 2, 600),
        (68.2, 0.66, 2, 600),
    ]
    assert [cell.settings["train_way"] for cell in snell] == [30, 20]
    first = printed("finn_2017", "Table 1", "maml", "mini_imagenet", order=1)
    assert [(cell.accuracy, cell.ci95) for cell in first] == [(48.07, 1.75), (63.15, 0.91)]


def test_tables_are_whole() -> None:
    counts = {
        (source, table): sum(cell.table == table for cell in cells)
        for source, cells in registries().cells.items()
        for table in {cell.table for cell in cells}
    }
    assert counts == {
        ("vinyals_2016", "Table 1"): 32,
        ("vinyals_2016", "Table 2"): 16,
        ("snell_2017", "Table 1"): 8,
        ("snell_2017", "Table 2"): 10,
        ("snell_2017", "Table 4"): 30,  # 24 numbers; the 6 of one shot in training and test are both methods'
        ("snell_2017", "Table 5"): 32,  # 24 numbers; the 8 of one training shot are both methods'
        ("snell_2017", "Table 6"): 24,
        ("finn_2017", "Table 1"): 24,
        ("knagg_2018", "README"): 30,
        ("nichol_2018", "Table 1"): 4,
        ("nichol_2018", "Table 2"): 12,
        ("raghu_2020", "Table 2"): 8,
        ("raghu_2020", "Table 4"): 4,
        ("devos_2019", "README"): 4,
        ("chen_2019", "Table 2"): 6,
        ("patacchiola_2020", "Table 1 of Snell and Zemel 2021"): 6,
        ("libfewshot_2021", "README, Table 1"): 4,
        ("libfewshot_2021", "README, Table 2"): 4,
        ("mmfewshot", "README"): 6,
        ("paddlefsl", "README"): 12,
        ("learn2learn", "README"): 6,
        ("wenlin_chen", "report"): 6,
        ("potsawee", "report"): 8,
        ("snell_code", "issue 2"): 4,
        ("snell_code", "issue 5"): 2,
        ("finn_code", "issue 32"): 1,
        ("bertinetto_2019", "Table 2 of Lee et al. 2019"): 6,
        ("finn_code", "issue 7"): 2,
    }


def test_every_number_appears_once_with_consistent_precision() -> None:
    everything = [cell for cells in registries().cells.values() for cell in cells]
    keys = [
        (cell.source, cell.algorithm, *sorted(cell.variant.items()), cell.dataset, cell.way, cell.shot, *sorted(_training(cell)))
        for cell in everything
    ]
    assert len(set(keys)) == len(keys) == 311
    for cell in everything:
        assert cell.accuracy == round(cell.accuracy, cell.decimals)
        assert cell.ci95 is None or cell.ci95 == round(cell.ci95, cell.decimals)


def _training(cell: PublishedCell) -> list[tuple[str, object]]:
    return [(key, cell.settings[key]) for key in ("train_way", "train_shot", "train_query") if key in cell.settings]


def test_contradicting_tables_carry_a_doubt() -> None:
    """Snell's Tables 5 and 6 print two accuracies for one run; where both have the run and agree, no doubt is raised."""
    runs = [_by_run(table) for table in ("Table 5", "Table 6")]
    shared = runs[0].keys() & runs[1].keys()
    assert len(shared) == 8
    for run in shared:
        five, six = (run_cells[run] for run_cells in runs)
        assert bool(five.doubt) == bool(six.doubt) == (five.accuracy != six.accuracy), run


def _by_run(table: str) -> dict[tuple[object, ...], PublishedCell]:
    cells = printed("snell_2017", table, "prototypical", "mini_imagenet", distance="squared_euclidean")
    return {(cell.settings["train_way"], cell.settings["train_shot"], cell.shot): cell for cell in cells}


def test_margins_are_the_agreed_ones() -> None:
    assert dict(registries().assumptions.points) == {("omniglot", 5): 0.5, ("omniglot", 20): 1.0, ("mini_imagenet", 5): 2.0}
    assert registries().margin(settings(way=7)) is None


@pytest.mark.parametrize(
    ("changes", "table", "accuracy"),
    [
        ({}, "Table 1", 98.8),
        ({"way": 20, "shot": 5}, "Table 1", 98.9),
        ({"way": 20, "shot": 5, "train_shot": 1}, "Table 4", 99.0),
        ({"train_way": 20, "train_query": 15}, "Table 4", 98.7),
    ],
)
def test_the_number_of_the_nearest_protocol_is_found(changes: dict[str, object], table: str, accuracy: float) -> None:
    cell = registries().find(["snell_2017"], settings(**changes))
    assert cell is not None and (cell.table, cell.accuracy) == (table, accuracy)


@pytest.mark.parametrize(
    "changes",
    [{"distance": "cosine"}, {"way": 7}, {"shot": 2}, {"dataset": "glyphs", "split": "glyphs"}],
)
def test_no_number_is_used_for_another_question(changes: dict[str, object]) -> None:
    assert registries().find(["snell_2017", "knagg_2018"], settings(**changes)) is None


def test_the_first_source_that_has_the_cell_wins() -> None:
    both = registries()
    theirs, knaggs = (both.find(order, settings()) for order in (["snell_2017", "knagg_2018"], ["knagg_2018", "snell_2017"]))
    assert theirs is not None and knaggs is not None
    assert (theirs.accuracy, knaggs.accuracy) == (98.8, 98.2)
    assert both.find(["vinyals_2016", "snell_2017"], settings()) == theirs  # the first has no such algorithm


def test_an_unknown_source_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(RegistryError, match="'snell_201' is not a registry; did you mean 'snell_2017'"):
        registries().find(["snell_201"], settings())


def test_only_what_the_file_states_counts_as_stated(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(VALID)
    (cell,) = load_registries(tmp_path).cells["mine"]
    assert (dict(cell.settings), dict(cell.variant)) == ({"split": "vinyals"}, {})
    assert cell.ci95 is None and cell.decimals == 1 and cell.source == "arXiv 0000.00000, Table 1"
    assert (cell.std_seeds, cell.seeds, cell.episodes, cell.kind, cell.label) == (None, None, None, "paper", "Mine")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("accuracy: 98.8", "accuracy: 0.988e3", r"mine\.yaml:9: cells\[0\]\.accuracy: 988\.0 is not accepted"),
        ("accuracy: 98.8", "accuracy: .nan", r"cells\[0\]\.accuracy: nan is not accepted"),
        ("accuracy: 98.8", "accuracy: '98.8'", r"cells\[0\]\.accuracy: '98\.8' is not accepted"),
        ("accuracy: 98.8", "accurcy: 98.8", r"cells\[0\]\.accuracy: this key is required"),
        ("way: 5", "way: 1", r"cells\[0\]\.way: 1 is not accepted"),
        ("accuracy: 98.8}", "accuracy: 98.8, settings: {train_wya: 60}}", r"settings\.train_wya: unknown key"),
        ("accuracy: 98.8}", "accuracy: 98.8, settings: {train_way: sixty}}", r"settings\.train_way: 'sixty' is not accepted"),
        (
            "accuracy: 98.8}",
            "accuracy: 98.8, variant: {distnace: cosine}}",
            r"variant\.distnace: unknown key",
        ),
        ("accuracy: 98.8}", "accuracy: 98.8, variant: {distance: euclid}}", r"variant\.distance: 'euclid' is not accepted"),
        ("split: vinyals", "split: 1", r"mine\.yaml:7: protocols\.omniglot\.split: 1 is not accepted"),
        ("label: Mine", "lable: Mine", r"label: this key is required"),
        (
            "label: Mine",
            f"label: {'M' * 19}",
            r"mine\.yaml:4: label: 'M+' is not accepted: it must have at most 18 characters",
        ),
        ("kind: paper", "kind: rerun", r"mine\.yaml:5: kind: 'rerun' is not accepted"),
        ("accuracy: 98.8}", "accuracy: 98.8, std_seeds: 0.3}", r"cells\[0\]\.std_seeds: 0\.3 is not accepted: .* their number"),
        (
            "accuracy: 98.8}",
            "accuracy: 98.8, std_seeds: 0.3, seeds: 1}",
            r"cells\[0\]\.std_seeds: 0\.3 is not accepted: .* at least 2",
        ),
        (
            "accuracy: 98.8}",
            "accuracy: 98.8, ci95: 0.1, std_seeds: 0.3}",
            r"cells\[0\]\.std_seeds: 0\.3 is not accepted: .* their number",
        ),
        ("accuracy: 98.8}", "accuracy: 98.8, std_seeds: -0.3, seeds: 3}", r"cells\[0\]\.std_seeds: -0\.3 is not accepted"),
        ("accuracy: 98.8}", "accuracy: 98.8, seeds: 0}", r"cells\[0\]\.seeds: 0 is not accepted"),
        ("accuracy: 98.8}", "accuracy: 98.8, inherits: nothing}", r"cells\[0\]\.inherits: 'nothing' is not accepted"),
        ("id: mine", "id: yours", r"mine\.yaml:2: id: 'yours' must be the file's name"),
        ("title: Mine", "title: Mine\ntitle: Ours", r"mine\.yaml:4: .*duplicate key"),
        (VALID, "- a list", r"mine\.yaml:1: "),
    ],
)
def test_a_wrong_registry_is_refused_by_file_line_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in VALID
    with pytest.raises(RegistryError, match=said):
        load(tmp_path, VALID.replace(old, new))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("margins: [{dataset: omniglot, way: 5, points: 0}]", r"margins\.yaml:1: margins\[0\]\.points: 0 is not accepted"),
        (
            "margins: [{dataset: omniglot, way: 5, points: 1}, {dataset: omniglot, way: 5, points: 2}]",
            r"margins: .* for the same cells",
        ),
        ("margins: []\nspreads: [{dataset: omniglot, freedom: 4, trainings: []}]", r"margins\.yaml:2: spreads\[0\]\.trainings"),
        (
            "margins: []\nanswers: [{dataset: omniglot, correlation: 0.1}, {dataset: omniglot, correlation: 0.2}]",
            r"margins\.yaml:2: answers: .* for the same cells",
        ),
        ("margins: []\nanswers: [{dataset: omniglot, correlation: 1.0}]", r"answers\[0\]\.correlation: 1.0 is not accepted"),
    ],
)
def test_wrong_margins_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        load(tmp_path, text, "margins")


def test_a_folder_without_registries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no published numbers here"):
        load_registries(tmp_path / "nowhere")


def test_a_mismatch_counts_what_the_source_states_and_nothing_else() -> None:
    code = {"resize": "nearest", "initialisation": "pytorch_2018"}
    cell = registries().find(["snell_2017"], settings(**code, retrain=True))
    assert cell is not None and cell.mismatches(settings(**code, retrain=True)) == 0
    assert cell.mismatches(settings(**code, retrain=True, patience=None, steps=500, validation_way=20)) == 0
    assert cell.mismatches(dataclasses.replace(settings(**code), train_way=20)) == 2  # and retrain


def test_the_assumptions_of_verdicts_are_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(VALID)
    (tmp_path / "margins.yaml").write_text(
        "margins: [{dataset: omniglot, way: 5, points: 0.5}]\n"
        "spreads:\n"
        "  - {dataset: omniglot, freedom: 4, trainings: [{accuracy: 90.0, std: 0.9, seeds: 3}]}\n"
        "  - {dataset: omniglot, algorithm: maml, freedom: 2, trainings: [{accuracy: 90.0, std: 1.8, seeds: 3}]}\n"
        "answers: [{dataset: omniglot, correlation: 0.1}]\n"
        "unstated: {episodes: 100, query: 1}\n"
    )
    known = load_registries(tmp_path).assumptions
    spreads = {name: known.spread("omniglot", name) for name in ("matching", "maml")}
    assert {name: (spread.logits, spread.freedom) for name, spread in spreads.items() if spread} == {
        "matching": (pytest.approx(0.1), 4),
        "maml": (pytest.approx(0.2), 2),
    }
    assert known.spread("mini_imagenet", "maml") is None
    assert (known.answers["omniglot"].correlation, known.episodes, known.query) == (0.1, 100, 1)
