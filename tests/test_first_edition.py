"""The results of the first edition agree with themselves: every number follows from the episodes beside it.

Today's code does not make them again, and what it says of numbers may have changed: nothing here asks it.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fsl_core.json_digest import json_digest
from tests.committed_records import FIRST_EDITION

pytestmark = pytest.mark.parametrize("folder", FIRST_EDITION, ids=lambda folder: folder.name)
TABLES = {"table.txt", "table.md", "table.csv", "table.tex", "table.json"}
EXPORTS = {f"{name}.parquet" for name in ("trials", "cells", "episodes", "curves", "adaptation")}
PICTURES = {"curves.png", "cells.png", "adaptation.png"}
IN_CELLS = {
    "published": "published_percent",
    "published_ci95": "published_ci95_points",
    "article_2018": "article_2018_percent",
    "reproduced": "reproduced_percent",
    "ci95_episodes": "ci95_episodes_points",
    "std_seeds": "std_seeds_points",
    "difference": "difference_points",
}
"""Keys of ``table.json`` by their columns in ``cells.parquet``, where the two are not the same."""
LISTS = {"trials", "verdict_reasons", "differs", "overrides"}


def cells_of(folder: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((folder / "table.json").read_text())["cells"]
    return cells


def scores_of(folder: Path, cell: dict[str, Any]) -> pd.DataFrame:
    """The test episodes of a cell, a column a seed."""
    episodes = pd.read_parquet(folder / "episodes.parquet")
    trials = [f"t-{trial}" for trial in cell["trials"]]
    own = episodes[(episodes["evaluation_id"] == f"e-{cell['evaluation']}") & episodes["trial_id"].isin(trials)]
    return own.pivot(index="episode", columns="trial_id", values="accuracy_percent")


def test_its_files_are_those_that_are_checked(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} <= TABLES | EXPORTS | PICTURES | {"provenance.json"}


def test_each_accuracy_is_the_share_of_queries_answered_rightly(folder: Path) -> None:
    episodes = pd.read_parquet(folder / "episodes.parquet")
    queries = episodes["way"] * episodes["query_per_class"]
    assert episodes["correct"].between(0, queries).all()
    assert episodes["accuracy_percent"].to_list() == pytest.approx((100 * episodes["correct"] / queries).to_list())
    for _, scored in episodes.groupby(["trial_id", "evaluation_id"]):
        assert sorted(scored["episode"]) == list(range(len(scored)))


def test_each_number_of_the_table_follows_from_the_episodes(folder: Path) -> None:
    for cell in cells_of(folder):
        seeds = scores_of(folder, cell)
        assert (cell["seeds_done"], cell["seeds_wanted"]) == (seeds.shape[1], len(cell["trials"]))
        assert cell["reproduced"] == pytest.approx(seeds.to_numpy().mean(), abs=1e-6)
        half = 1.96 * seeds.mean(axis=1).std(ddof=1) / math.sqrt(len(seeds))
        assert cell["ci95_episodes"] == pytest.approx(half, rel=1e-4)
        spread = seeds.mean(axis=0).std(ddof=1)
        assert cell["std_seeds"] == (pytest.approx(spread, abs=1e-6) if seeds.shape[1] > 1 else None)
        assert cell["difference"] == pytest.approx(cell["reproduced"] - cell["published"], abs=1e-6)


def test_the_other_forms_of_the_table_say_the_same(folder: Path) -> None:
    cells, typed = cells_of(folder), pd.read_parquet(folder / "cells.parquet")
    with (folder / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(typed) == len(cells)
    for cell, row, (_, columns) in zip(cells, rows, typed.iterrows(), strict=True):
        assert row["trial_ids"].split() == list(columns["trial_ids"]) == [f"t-{trial}" for trial in cell["trials"]]
        assert row["cell_id"] == columns["cell_id"] == f"c-{cell['cell']}"
        assert row["evaluation_id"] == columns["evaluation_id"] == f"e-{cell['evaluation']}"
        for key in cell.keys() - LISTS - {"cell", "evaluation"}:
            assert row[key] == ("" if cell[key] is None else str(cell[key])), key
        for key in cell.keys() - LISTS - {"cell", "evaluation", "published_decimals"}:
            value = columns[IN_CELLS.get(key, key)]
            assert (None if pd.isna(value) else value) == (
                pytest.approx(cell[key], abs=1e-6) if key in IN_CELLS else cell[key]
            ), key


@pytest.mark.parametrize(
    ("name", "number"),
    [("table.txt", "{:.2f} ± {:.2f} "), ("table.md", " {:.2f} ± {:.2f} |"), ("table.tex", "& {:.2f} $\\pm$ {:.2f} &")],
)
def test_the_tables_for_people_print_these_numbers_in_this_order(folder: Path, name: str, number: str) -> None:
    text, place = (folder / name).read_text(), 0
    for cell in cells_of(folder):
        place = text.find(number.format(cell["reproduced"], cell["ci95_episodes"]), place) + 1
        assert place, f"{name} lacks {cell['variant']}"


def test_the_last_adaptation_step_is_the_score(folder: Path) -> None:
    if not (folder / "adaptation.parquet").is_file():
        assert all(cell["algorithm"] != "maml" for cell in cells_of(folder))
        return
    steps = pd.read_parquet(folder / "adaptation.parquet")
    for cell in (cell for cell in cells_of(folder) if cell["algorithm"] == "maml"):
        for trial, scores in scores_of(folder, cell).items():
            of_trial = steps[(steps["trial_id"] == trial) & (steps["evaluation_id"] == f"e-{cell['evaluation']}")]
            last = of_trial.sort_values("adaptation_steps")["accuracy_percent"].iloc[-1]
            assert last == pytest.approx(scores.mean(), abs=1e-6)


def test_each_trial_is_selected_at_a_measured_step_and_has_its_provenance(folder: Path) -> None:
    trials = pd.read_parquet(folder / "trials.parquet")
    done = trials[trials["status"] == "done"]
    curves = pd.read_parquet(folder / "curves.parquet")
    validation = curves[curves["metric"] == "validation_accuracy"].set_index(["trial_id", "step"])["measured"]
    known = json.loads((folder / "provenance.json").read_text())["trials"]
    assert {f"t-{trial}" for trial in known} == set(done["trial_id"])
    for trial in done.itertuples():
        behind = known[trial.trial_id.removeprefix("t-")]
        assert trial.data_digest == f"sha256-{behind['data_digest']}"
        assert trial.weights_digest == f"sha256-{behind['weights_digest']}"
        if trial.steps_done:
            assert trial.validation_accuracy_percent == pytest.approx(validation[trial.trial_id, trial.selected_step])


def test_its_plan_is_that_of_its_cells(folder: Path) -> None:
    """The plan's fingerprint is made of those of its trials and of what is asked of each."""
    wanted: dict[str, set[str]] = {}
    for cell in cells_of(folder):
        for trial in cell["trials"]:
            wanted.setdefault(trial, set()).add(cell["evaluation"])
    plan = json_digest(sorted([trial, sorted(evaluations)] for trial, evaluations in wanted.items()))[:16]
    assert json.loads((folder / "provenance.json").read_text())["plan"] == plan
