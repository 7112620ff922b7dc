"""Exports: every record once, typed, with units."""

import dataclasses
import io
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestrator.cell_settings import CellSettings
from orchestrator.plan import Plan
from orchestrator.report.aggregate import aggregate
from orchestrator.report.bundle import write_bundle
from orchestrator.report.export import COLUMNS, frames, write_exports
from orchestrator.report.table import render
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries


def tables(plan: Plan, correct: dict[int, list[int]]) -> dict[str, pd.DataFrame]:
    records = records_of(plan, correct)
    return frames(plan, records, aggregate(plan, records, registries()), run_ids={plan.trials[0].fingerprint: "0"})


def test_every_trial_cell_episode_and_point_is_there_once(tmp_path: Path) -> None:
    found = tables(plan_of(tmp_path), {0: [74, 75], 1: [74]})
    assert {name: len(table) for name, table in found.items()} == {"trials": 3, "cells": 2, "episodes": 4000, "curves": 8}
    trials = found["trials"].set_index("seed")
    assert list(trials["status"]) == ["done", "done", "waiting"]
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


NUMBER_LIKE = st.from_regex(r"[0-9]{2,20}e[0-9]{2,20}|[0-9]{1,40}|0x[0-9]{1,8}|1_000|nan|NA|null|inf|True", fullmatch=True)


def guessed(text: str) -> dict[str, list[str | None]]:
    """The columns of a CSV as a program reads them that guesses types."""
    table = pd.read_csv(io.StringIO(text))
    return {column: [None if pd.isna(value) else value for value in table[column]] for column in table}


FEW_EPISODES = """
name: reported
title: Few episodes
seeds: [0]
fixed: {dataset: omniglot, split: vinyals, way: 5, shot: 1, evaluation_episodes: 2}
"""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate])
@given(st.lists(NUMBER_LIKE, min_size=8, max_size=8))
def test_every_text_survives_a_reader_that_guesses_types(tmp_path: Path, unlucky: list[str]) -> None:
    """Names, digests and versions that look like numbers stay the texts that they are, in every export as CSV."""
    plan = plan_of(tmp_path, FEW_EPISODES)
    (record,) = records_of(plan, {0: [74]}).values()
    host, commit, lock, data, weights, python, torch, cuda = unlucky
    assert record.execution is not None and record.result is not None
    versions = {"python": python, "torch": torch, "cuda": cuda}
    execution = dataclasses.replace(record.execution, host=host, git_commit=commit, lock_digest=lock, versions=versions)
    result = dataclasses.replace(record.result, data_digest=data, weights_digest=weights)
    records = {record.fingerprint: dataclasses.replace(record, execution=execution, result=result)}
    made = frames(plan, records, aggregate(plan, records, registries()), run_ids={record.fingerprint: host})
    for path in write_exports(made, tmp_path / "out", "csv"):
        back = guessed(path.read_text())
        for column, (kind, _) in COLUMNS[path.stem].items():
            if kind == "string":
                assert back[column] == [None if pd.isna(value) else value for value in made[path.stem][column]], column


def test_a_fingerprint_that_reads_like_a_number_is_an_id_in_every_table(tmp_path: Path) -> None:
    """One in six hundred does: 05076994e4836924 was an infinite number where the types of a CSV are guessed."""
    cell = CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1)
    seed = next(seed for seed in range(10_000) if cell.recipe(seed).fingerprint.replace("e", "", 1).isdigit())
    plan = plan_of(
        tmp_path, f"name: reported\ntitle: One\nseeds: [{seed}]\nfixed: {{dataset: omniglot, split: vinyals, way: 5, shot: 1}}\n"
    )
    (trial,) = plan.trials
    wanted = f"t-{trial.fingerprint}"
    records = records_of(plan, {seed: [74]})
    rows = aggregate(plan, records, registries())
    found = {path.stem: path.read_text() for path in write_exports(frames(plan, records, rows), tmp_path, "csv")}
    for name in ("trials", "episodes", "curves"):
        assert set(guessed(found[name])["trial_id"]) == {wanted}
    assert guessed(found["cells"])["trials"] == guessed(render(rows, "csv", spec=plan.spec))["trials"] == [wanted]
    assert trial.fingerprint in render(rows, "json", spec=plan.spec) and wanted not in render(rows, "json", spec=plan.spec)
