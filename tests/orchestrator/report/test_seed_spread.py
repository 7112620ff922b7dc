"""The spread over trainings: from the cell, else its table, else other sources; and never narrower than the cell itself shows."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.score import score_cell
from orchestrator.report.seed_spread import SeedSpread, Trainings, chosen_spread, pooled
from orchestrator.report.sides import table_spreads
from orchestrator.sweep.plan import Cell, Plan
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

PRIOR = SeedSpread(logits=0.1, freedom=4, origin="prior")
TABLE = SeedSpread(logits=0.05, freedom=8, origin="table")
groups = st.builds(Trainings, accuracy=st.floats(20, 99.9), std=st.floats(0, 5), seeds=st.integers(2, 20))


def trainings(seeds: int, logits: float, accuracy: float = 90.0) -> Trainings:
    return Trainings(accuracy=accuracy, std=logits * accuracy * (100 - accuracy) / 100, seeds=seeds)


def test_spreads_are_pooled_as_logits_by_their_degrees_of_freedom() -> None:
    """0.9 points at 90% and 0.25 at 50% are 0.1 and 0.01 logits: √((2 · 0.01 + 4 · 0.0001) / 6)."""
    found = pooled([trainings(3, 0.1), trainings(5, 0.01, 50.0)], "table")
    assert found is not None
    assert (found.logits, found.freedom) == (pytest.approx(math.sqrt(0.0204 / 6)), 6)
    assert trainings(3, 0.1).std == pytest.approx(0.9)


def test_one_seed_shows_no_spread() -> None:
    assert pooled([trainings(1, 0.0)], "table") is None
    assert chosen_spread(trainings(1, 0.0), None, None) is None


@pytest.mark.parametrize(
    ("own", "table", "expected"),
    [
        (None, None, PRIOR),
        (None, TABLE, TABLE),
        (trainings(3, 0.05), TABLE, TABLE),
        (trainings(9, 0.05), TABLE, TABLE),
        (trainings(10, 0.02), TABLE, trainings(10, 0.02).spread),
        (trainings(3, 0.05), SeedSpread(logits=0.05, freedom=2, origin="table"), PRIOR),
        # F of 2 and 8 degrees of freedom is 4.459 at 95%: 0.05 · √4.459 = 0.1056; of 2 and 4 it is 6.944: 0.1 · √6.944 = 0.2635
        (trainings(3, 0.105), TABLE, TABLE),
        (trainings(3, 0.107), TABLE, trainings(3, 0.107).spread),
        (trainings(3, 0.263), None, PRIOR),
        (trainings(3, 0.265), None, trainings(3, 0.265).spread),
    ],
)
def test_the_cell_then_its_table_then_other_sources(
    own: Trainings | None, table: SeedSpread | None, expected: SeedSpread
) -> None:
    assert chosen_spread(own, table, PRIOR) == expected


@given(st.lists(groups, min_size=1))
def test_a_pooled_spread_lies_between_its_parts(parts: list[Trainings]) -> None:
    found = pooled(parts, "table")
    assert found is not None and found.freedom == sum(part.seeds - 1 for part in parts)
    logits = [part.spread.logits for part in parts]
    assert min(logits) * (1 - 1e-9) - 1e-12 <= found.logits <= max(logits) * (1 + 1e-9)


def scored(plan: Plan, correct: dict[int, list[int]]) -> list[tuple[Cell, object]]:
    records = records_of(plan, correct)
    return [(cell, score_cell(cell, records)) for cell in plan.cells]


def test_cells_that_score_the_same_trainings_count_once(tmp_path: Path) -> None:
    """The 5-way and the 20-way cell of one training shot; the 20-way cell's accuracies of 24.6% and 25% lie less far apart in logits."""
    found = table_spreads(scored(plan_of(tmp_path), {0: [74], 1: [75]}))  # type: ignore[arg-type]
    assert set(found) == {("omniglot", "prototypical")}
    spread = found["omniglot", "prototypical"]
    share = 74.5 / 75
    assert spread.freedom == 1
    assert spread.logits == pytest.approx(1 / 75 / math.sqrt(2) / (share * (1 - share)))


def test_untrained_networks_have_no_spread_over_trainings(tmp_path: Path) -> None:
    assert table_spreads(scored(plan_of(tmp_path, set_values=["steps=0"]), {0: [74], 1: [75]})) == {}  # type: ignore[arg-type]


def test_every_data_set_with_margins_has_a_measured_spread() -> None:
    """On miniImageNet 0.2 to 1.3 points at 44 to 64%, on Omniglot 0.04 to 0.7 at 94 to 98%."""
    known = registries().assumptions
    for dataset, _way in known.points:
        for algorithm in ("prototypical", "matching", "maml"):
            assert known.spread(dataset, algorithm) is not None
        assert dataset in known.answers
    mini, omniglot = known.spread("mini_imagenet", "maml"), known.spread("omniglot", "maml")
    assert mini is not None and mini.points(0.25) == pytest.approx(0.64, abs=0.01)
    assert omniglot is not None and omniglot.points(0.96 * 0.04) == pytest.approx(0.40, abs=0.01)
