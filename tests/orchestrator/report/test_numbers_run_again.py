"""Numbers that others got: the authors' code run again, and independent reproductions."""

import pytest

from orchestrator.sweep.cell_settings import CellSettings
from tests.orchestrator.report.printed_numbers import FOUR, printed, tables_of
from tests.orchestrator.report.reported_sweep import registries


@pytest.mark.parametrize(
    ("source", "algorithm", "variant", "expected"),
    [
        ("nichol_2018", "maml", {"order": 1}, [(98.3, 0.5), (99.2, 0.2), (89.4, 0.5), (97.9, 0.1)]),
        ("nichol_2018", "reptile", {"inductive": False}, [(97.68, 0.04), (99.48, 0.06), (89.43, 0.14), (97.12, 0.32)]),
        ("wenlin_chen", "prototypical", {}, [(98.6, None), (99.6, None), (95.3, None), (98.7, None)]),
        ("snell_code", "prototypical", {}, [(98.4, None), (99.6, None), (94.9, None), (98.6, None)]),
        ("potsawee", "maml", {"order": 2}, [(94.7, 0.5), (98.8, 0.1), (83.4, 0.4), (94.1, 0.2)]),
        ("finn_2017", "neural_statistician", {}, [(98.1, None), (99.5, None), (93.2, None), (98.1, None)]),
        ("finn_2017", "siamese_with_memory", {}, [(98.4, None), (99.6, None), (95.0, None), (98.6, None)]),
    ],
)
def test_omniglot_run_again(
    source: str, algorithm: str, variant: dict[str, object], expected: list[tuple[float, float | None]]
) -> None:
    cells = [cell for table in tables_of(source) for cell in printed(source, table, algorithm, "omniglot", **variant)]
    assert [(cell.way, cell.shot) for cell in cells] == FOUR
    assert [(cell.accuracy, cell.ci95) for cell in cells] == expected


@pytest.mark.parametrize(
    ("source", "algorithm", "variant", "expected"),
    [
        ("devos_2019", "maml", {}, [(47.6, 1.9), (63.0, 0.9)]),
        ("chen_2019", "matching", {}, [(48.14, 0.78), (63.48, 0.66)]),
        ("chen_2019", "prototypical", {}, [(44.42, 0.84), (64.24, 0.72)]),
        ("chen_2019", "maml", {}, [(46.47, 0.82), (62.71, 0.71)]),
        ("mmfewshot", "matching", {}, [(53.35, 0.44), (66.3, 0.38)]),
        ("mmfewshot", "prototypical", {}, [(48.11, 0.43), (68.51, 0.37)]),
        ("mmfewshot", "maml", {}, [(46.76, 0.42), (63.88, 0.39)]),
        ("paddlefsl", "prototypical", {}, [(48.85, 0.42), (66.87, 0.25)]),
        ("paddlefsl", "maml", {"order": 1}, [(49.81, 1.78), (64.21, 1.33)]),
        ("learn2learn", "prototypical", {}, [(49.1, None), (66.5, None)]),
        ("learn2learn", "maml", {}, [(48.3, None), (65.4, None)]),
        ("patacchiola_2020", "matching", {}, [(48.25, None), (62.71, None)]),
        ("patacchiola_2020", "prototypical", {}, [(44.19, None), (64.07, None)]),
        ("patacchiola_2020", "maml", {}, [(45.39, None), (61.58, None)]),
        ("wenlin_chen", "prototypical", {}, [(48.37, None), (65.37, None)]),
        ("potsawee", "maml", {"order": 1}, [(43.84, 1.97), (58.66, 1.95)]),
        ("snell_code", "prototypical", {}, [(47.21, None), (62.63, None)]),
        ("finn_2017", "fine_tuning", {}, [(28.86, 0.54), (49.79, 0.79)]),
        ("finn_2017", "nearest_neighbours", {}, [(41.08, 0.7), (51.04, 0.65)]),
    ],
)
def test_mini_imagenet_run_again(
    source: str, algorithm: str, variant: dict[str, object], expected: list[tuple[float, float | None]]
) -> None:
    cells = [cell for table in tables_of(source) for cell in printed(source, table, algorithm, "mini_imagenet", **variant)]
    assert [(cell.shot, cell.accuracy, cell.ci95) for cell in cells] == [(1, *expected[0]), (5, *expected[1])]


def test_a_mean_over_initialisations_has_its_deviation_and_no_interval() -> None:
    raghu = printed("raghu_2020", "Table 2", "maml", "omniglot") + printed("raghu_2020", "Table 2", "maml", "mini_imagenet")
    assert [(cell.accuracy, cell.std_seeds, cell.seeds, cell.ci95) for cell in raghu] == [
        (93.7, 0.7, 3, None), (96.4, 0.1, 3, None), (46.9, 0.2, 3, None), (63.1, 0.4, 3, None),
    ]  # fmt: skip


def test_what_another_source_ran_does_not_inherit_the_protocol_of_who_prints_it() -> None:
    """Of the rows of Ravi and Larochelle, Snell et al. say the classes and the number of episodes and nothing else."""
    others = [cell for cell in registries().cells["snell_2017"] if cell.table == "Table 2" and cell.algorithm != "prototypical"]
    assert len(others) == 8
    assert all(cell.settings == {"split": "ravi", "evaluation_episodes": 600, "full_steps": 20000} for cell in others)
    for shot, accuracy in ((1, 38.82), (5, 54.6)):
        near = CellSettings(
            algorithm="matching", distance="cosine", dataset="mini_imagenet", split="ravi", way=5, shot=shot, clip_norm=1.0,
            evaluation_episodes=600,
        )  # fmt: skip
        found = registries().find(["snell_2017"], near)
        assert found is not None and (found.table, found.accuracy) == ("Table 5", accuracy)


def test_whose_numbers_they_are() -> None:
    kinds = {source: {cell.kind for cell in cells} for source, cells in registries().cells.items()}
    papers = {source for source, kind in kinds.items() if kind == {"paper"}}
    assert papers == {"snell_2017", "vinyals_2016", "finn_2017"}
    assert {source for source, kind in kinds.items() if kind == {"authors_code"}} == {"snell_code", "finn_code", "devos_2019"}
