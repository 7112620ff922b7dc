"""Exports: every record once, typed, with units."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from orchestrator.plan import Plan
from orchestrator.report.aggregate import aggregate
from orchestrator.report.bundle import write_bundle
from orchestrator.report.export import COLUMNS, frames, write_exports
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries


def tables(plan: Plan, correct: dict[int, list[int]]) -> dict[str, pd.DataFrame]:
    records = records_of(plan, correct)
    return frames(plan, records, aggregate(plan, records, registries()), run_ids={plan.trials[0].fingerprint: "run-0"})


def test_every_trial_cell_episode_and_point_is_there_once(tmp_path: Path) -> None:
    found = tables(plan_of(tmp_path), {0: [74, 75], 1: [74]})
    assert {name: len(table) for name, table in found.items()} == {"trials": 3, "cells": 2, "episodes": 4000, "curves": 8}
    trials = found["trials"].set_index("seed")
    assert list(trials["status"]) == ["complete", "complete", "pending"]
    assert trials.loc[0, "train_seconds"] == 12.5 and pd.isna(trials.loc[2, "train_seconds"])
    assert trials.loc[0, "mlflow_run_id"] == "run-0" and pd.isna(trials.loc[1, "mlflow_run_id"])
    assert found["episodes"]["accuracy_percent"].max() == 100.0
    mean = found["episodes"].query("way == 5 and seed == 0")["accuracy_percent"].mean()
    assert mean == pytest.approx(100 * 74.5 / 75)


@pytest.mark.parametrize("correct", [{}, {0: [74]}])
def test_columns_and_types_do_not_depend_on_the_content(tmp_path: Path, correct: dict[int, list[int]]) -> None:
    for name, table in tables(plan_of(tmp_path), correct).items():
        assert {column: str(kind) for column, kind in table.dtypes.items()} == {
            column: kind for column, (kind, _) in COLUMNS[name].items()
        }


def test_parquet_keeps_values_types_and_descriptions(tmp_path: Path) -> None:
    found = tables(plan_of(tmp_path), {0: [74]})
    for path in write_exports(found, tmp_path / "out", "parquet"):
        back = pd.read_parquet(path)
        pd.testing.assert_frame_equal(back, found[path.stem], check_dtype=False)
        schema = pq.read_schema(path)
        for column, (_, description) in COLUMNS[path.stem].items():
            assert (schema.field(column).metadata or {}).get(b"description", b"").decode() == description


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    found = tables(plan_of(tmp_path), {0: [74]})
    for path in write_exports(found, tmp_path / "out", "csv"):
        assert list(pd.read_csv(path).columns) == list(COLUMNS[path.stem])
        assert len(pd.read_csv(path)) == len(found[path.stem])


@pytest.mark.parametrize("correct", [{}, {0: [74], 1: [75]}])
def test_the_bundle_is_whole_and_the_same_twice(tmp_path: Path, correct: dict[int, list[int]]) -> None:
    plan = plan_of(tmp_path)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        write_bundle(folder, plan, records_of(plan, correct), registries())
    names = {path.name for path in folders[0].iterdir()}
    assert {"table.md", "table.csv", "trials.parquet", "episodes.parquet", "curves.png", "cells.png", "provenance.json"} <= names
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    for picture in ("curves.png", "cells.png"):
        assert (folders[0] / picture).read_bytes().startswith(b"\x89PNG")
