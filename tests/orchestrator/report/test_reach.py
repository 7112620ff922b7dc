"""What a plan says of verdicts before anything is trained."""

from pathlib import Path

import pytest

from orchestrator.report.reach import Reach, reaches
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

SWEEPS = Path(__file__).parents[3] / "sweeps"


def reach_of(folder: Path, text: str, **overrides: object) -> list[Reach]:
    return list(reaches(plan_of(folder, text, **overrides), registries()))


MLP = """
name: reported
title: MAML on the MLP
published: [finn_2017]
seeds: [0, 1, 2]
fixed: {preset: reference, algorithm: maml, order: 2, dataset: omniglot, way: 5, backbone: mlp, evaluation_episodes: 10000}
grid: {shot: [1, 5]}
"""
SNELL = """
name: reported
title: Prototypical Networks
published: [snell_2017]
seeds: [0, 1, 2]
fixed: {dataset: omniglot, split: vinyals, train_way: 60, retrain: true, way: 20, evaluation_episodes: 1000}
grid: {shot: [1, 5]}
"""
ARTICLE = """
name: reported
title: The 2018 article
published: [knagg_2018]
seeds: [0, 1, 2]
fixed: {preset: article_2018, algorithm: prototypical, dataset: omniglot, way: 5, evaluation_episodes: 1000}
grid: {shot: [5]}
"""


def test_a_margin_narrower_than_the_printed_interval_is_never_met(tmp_path: Path) -> None:
    """MAML on the MLP: ±1.1 and ±0.6 against 0.5, however many episodes of ours; ours of 10,000 with 5 answers at 89.7%: ±0.27."""
    first, second = reach_of(tmp_path, MLP)
    assert first.never and second.never and not first.unlikely
    assert first.episodes == pytest.approx((1.1**2 + 0.266**2 + (1.96 * 0.0289) ** 2) ** 0.5, abs=0.002)
    assert first.whole is not None and first.whole > first.episodes > first.margin == 0.5


def test_the_spread_of_trainings_is_an_estimate_and_reported_separately(tmp_path: Path) -> None:
    """Snell's 96.0% at 20-way 1-shot: episodes leave 0.2 points open, trainings 0.4 points apart 1.3; 98.9% at 5-shot is within reach."""
    first, second = reach_of(tmp_path, SNELL)
    assert (first.never, first.unlikely, second.never, second.unlikely) == (False, True, False, False)
    assert first.episodes < 0.3 and first.whole == pytest.approx(1.3, abs=0.1)


def test_more_seeds_and_episodes_bring_a_cell_nearer(tmp_path: Path) -> None:
    few, many = reach_of(tmp_path, SNELL)[0], reach_of(tmp_path, SNELL.replace("[0, 1, 2]", str(list(range(10)))))[0]
    assert many.whole is not None and few.whole is not None and many.whole < few.whole
    longer = reach_of(tmp_path, SNELL, set_values=["evaluation_episodes=10000"])[0]
    assert longer.episodes < few.episodes


def test_a_cell_out_of_reach_is_never_reproduced(tmp_path: Path) -> None:
    """Scores that equal the 2018 article's 99.4% to the digit, alike in every seed."""
    plan = plan_of(tmp_path, ARTICLE)
    as_published = [75] * 55 + [74] * 45
    row = table_rows(plan, records_of(plan, dict.fromkeys(range(3), as_published)), registries())[0]
    assert row.difference == pytest.approx(0.0, abs=1e-9)
    assert row.verdict_label.startswith("inconclusive") and reaches(plan, registries())[0].never


@pytest.mark.parametrize(
    "changes",
    [
        {"short: true": "published"},
        {"published: []": "published: [snell_2017]"},
        {"train_way: 30": "train_way: 60"},
        {"way: 19": "way: 20"},
    ],
)
def test_cells_whose_verdict_needs_no_numbers_have_no_reach(tmp_path: Path, changes: dict[str, str]) -> None:
    """A short sweep, no published number, another question, no margin."""
    ((new, old),) = changes.items()
    text = (
        SNELL.replace("published: [snell_2017]", f"{new}\npublished: [snell_2017]") if "short" in new else SNELL.replace(old, new)
    )
    assert text != SNELL and reach_of(tmp_path, text) == []


def test_the_2018_articles_hundred_episodes_are_too_few_for_a_verdict() -> None:
    """1,000 answers and fewer at 75 to 98%, against margins of 0.5 and 1."""
    plan = build_plan(load_sweep(SWEEPS / "matching_2018.yaml"))
    found = {(each.published, each.never) for each in reaches(plan, registries()) if "cosine" in each.cell}
    assert found == {("Knagg 2018", True)}
