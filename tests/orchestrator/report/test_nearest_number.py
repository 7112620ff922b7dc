"""Which of a registry's numbers stands beside a cell, and what a number may say of its own spread."""

import dataclasses

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RegistryError
from orchestrator.report.published import PublishedCell, Registries, load_registries
from orchestrator.report.published_number import numbers_beside
from orchestrator.sweep.cell_settings import CellSettings
from tests.orchestrator.report.reported_sweep import registries
from tests.orchestrator.report.test_published_columns import NAMES, registry

STATED = {
    "train_way": st.integers(5, 7),
    "train_shot": st.integers(1, 3),
    "query": st.integers(5, 7),
    "steps": st.integers(100, 102),
}
protocols = st.fixed_dictionaries({}, optional=STATED)
asked = st.fixed_dictionaries(STATED)


def number_of(settings: dict[str, int], accuracy: int, name: str = "mine") -> PublishedCell:
    return PublishedCell(
        registry=name, label=name, kind="paper", source="s", table="t", algorithm="prototypical", variant={}, dataset="omniglot",
        way=5, shot=1, accuracy=float(accuracy), ci95=None, std_seeds=None, seeds=None, decimals=1, episodes=None, settings=settings,
        unrepeatable=(), doubt=None,
    )  # fmt: skip


def cell_settings(**changes: int) -> CellSettings:
    return CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1, **changes)  # type: ignore[arg-type]


@given(st.lists(protocols, min_size=1, max_size=6), asked)
def test_the_nearest_protocol_is_met_and_the_first_of_two_as_near(stated: list[dict[str, int]], ours: dict[str, int]) -> None:
    """A setting counts where it is stated otherwise, or left unsaid while another number states it."""
    known = Registries({"mine": tuple(number_of(settings, index) for index, settings in enumerate(stated))})
    found = known.find(["mine"], cell_settings(**ours))
    said_by_any = set().union(*stated)
    away = [sum(settings.get(key) != ours[key] for key in said_by_any) for settings in stated]
    assert found is not None and found.accuracy == away.index(min(away))


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.sets(st.sampled_from(NAMES)))
def test_each_registry_gives_one_number_in_the_order_of_the_sources(sources: list[str], empty: set[str]) -> None:
    cells = {name: (number_of({}, index, name),) for index, name in enumerate(NAMES)}
    elsewhere = {name: (dataclasses.replace(cells[name][0], way=7),) for name in empty}
    known = Registries({**cells, **elsewhere})
    found = known.find_all(sources, cell_settings())
    assert [number.registry for number in found] == [name for name in dict.fromkeys(sources) if name not in empty]
    assert known.find(sources, cell_settings()) == (found[0] if found else None)


def test_of_several_tables_of_one_registry_the_first_that_has_a_number_serves() -> None:
    tables = ["snell_2017/Table 4", "finn_2017", "snell_2017/Table 1", "knagg_2018"]
    found = registries().find_all(tables, cell_settings(train_way=60))
    assert [(number.registry, number.table) for number in found] == [("snell_2017", "Table 4"), ("knagg_2018", "README")]


def test_a_named_table_is_no_choice_among_the_others_of_its_registry() -> None:
    settings = cell_settings(train_way=20, train_query=15)
    for source in ("snell_2017", "snell_2017/Table 4"):
        (number,) = numbers_beside(settings, registries(), [source])
        candidates = registries().candidates(source, settings)
        counted = f"the nearest of its {len(candidates)} numbers for such a cell"
        assert number.table == "Table 4" and ((number.choice or counted).endswith(counted)) and len(candidates) > 1


spreads = st.fixed_dictionaries(
    {},
    optional={
        "ci95": st.floats(0.01, 9),
        "std_seeds": st.floats(0, 9),
        "seeds": st.integers(1, 5),
        "episodes": st.integers(1, 9999),
    },
)


@given(spread=spreads)
def test_a_deviation_over_trainings_says_over_how_many(
    tmp_path_factory: pytest.TempPathFactory, spread: dict[str, float]
) -> None:
    folder = tmp_path_factory.mktemp("published")
    (folder / "anna_2020.yaml").write_text(yaml.safe_dump(registry("anna_2020", **spread)))
    if "std_seeds" in spread and spread.get("seeds", 1) < 2:
        with pytest.raises(RegistryError, match="seeds must give their number, at least 2"):
            load_registries(folder)
        return
    cell = load_registries(folder).cells["anna_2020"][0]
    assert {key: getattr(cell, key) for key in ("ci95", "std_seeds", "seeds", "episodes")} == {
        key: spread.get(key) for key in ("ci95", "std_seeds", "seeds", "episodes")
    }


@pytest.mark.parametrize(("way", "accuracy"), [(5, 97.4), (20, 95.4)])
def test_with_one_shot_matching_networks_by_snells_distance_are_his_prototypical_ones(way: int, accuracy: float) -> None:
    """One support image a class is its own prototype, and a softmax over distances is one in both papers."""
    matching, prototypical = (
        registries().find(
            ["snell_2017"],
            CellSettings(
                algorithm=name, distance="squared_euclidean", dataset="omniglot", split="vinyals", way=way, shot=1, train_query=15
            ),  # type: ignore[arg-type]
        )
        for name in ("matching", "prototypical")
    )
    assert matching is not None and prototypical is not None
    assert matching.accuracy == accuracy and matching.settings["train_way"] == way
    assert (prototypical.accuracy, prototypical.settings["train_way"]) == (accuracy, way)
