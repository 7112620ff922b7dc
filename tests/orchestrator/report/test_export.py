"""Exports: every record once, typed, with units."""

import dataclasses
import datetime
import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fsl_core.training.trial_records import ExecutionRecord
from orchestrator.records.trial_state import trial_state
from orchestrator.report.export import frames, write_exports
from orchestrator.report.export_columns import COLUMNS, LIST
from orchestrator.report.json_keys import CELL_KEYS, PROVENANCE_KEYS, PROVENANCE_OF_TRIAL, TABULAR
from orchestrator.report.report_folder import provenance
from orchestrator.report.table import render
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.flat_settings import recipe_settings
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import finished, plan_of, records_of, registries
from tests.orchestrator.report.sql_words import SQLITE, STANDARD
from tests.orchestrator.report.written_report import write_report_folder


def tables(plan: Plan, correct: dict[int, list[int]]) -> dict[str, pd.DataFrame]:
    records = records_of(plan, correct)
    return frames(plan, records, table_rows(plan, records, registries()), run_ids={plan.trials[0].fingerprint: "0"})


def test_every_trial_cell_episode_and_point_is_exported_once(tmp_path: Path) -> None:
    found = tables(plan_of(tmp_path), {0: [74, 75], 1: [74]})
    assert {name: len(table) for name, table in found.items()} == {
        "trials": 3,
        "cells": 2,
        "published": 2,
        "episodes": 4000,
        "curves": 8,
    }
    trials = found["trials"].set_index("seed")
    assert list(trials["status"]) == ["done", "done", "waiting"]
    assert trials.loc[0, "train_seconds"] == 12.5 and pd.isna(trials.loc[2, "train_seconds"])
    assert trials.loc[0, "mlflow_run_id"] == "run-0" and pd.isna(trials.loc[1, "mlflow_run_id"])
    assert found["episodes"]["accuracy_percent"].max() == 100.0
    mean = found["episodes"].query("way == 5 and seed == 0")["accuracy_percent"].mean()
    assert mean == pytest.approx(100 * 74.5 / 75)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_every_episode_has_its_right_answers_and_classes(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path)
    written = write_exports(tables(plan, {0: [74, 75]}), tmp_path, form)
    path = next(path for path in written if path.stem == "episodes")
    first = (pd.read_parquet(path) if form == "parquet" else pd.read_csv(path)).query("way == 5").iloc[0]
    assert first["answers"] == f"bits-{'f' * 18}c"
    own = first["class_ids"].split(" ") if form == "csv" else list(first["class_ids"])
    assert own == [f"class{number}" for number in range(5)]
    assert (first["episodes_digest"], first["data_digest"]) == ("sha256-e", "sha256-d")


def test_a_trained_trial_has_its_provenance_before_it_is_scored(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    trained = finished(plan.trials[0].recipe, [])
    records = {**records_of(plan, {}), trained.fingerprint: trained}
    assert trial_state(plan.trials[0], trained, held=False) != "done"
    assert provenance(plan, records)["trials"].keys() == {trained.fingerprint}  # type: ignore[attr-defined]
    assert "trained, scored or not" in PROVENANCE_KEYS["trials"]


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
        for column, (kind, _) in COLUMNS[path.stem].items():
            back[column] = back[column].map(list) if kind == LIST else back[column]
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
def test_the_report_is_complete_and_reproducible(tmp_path: Path, correct: dict[int, list[int]]) -> None:
    plan = plan_of(tmp_path)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        write_report_folder(folder, plan, records_of(plan, correct), registries())
    names = {path.name for path in folders[0].iterdir()}
    assert {"table.md", "table.csv", "trials.parquet", "episodes.parquet", "curves.png", "cells.png", "provenance.json"} <= names
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name
    provenance = json.loads((folders[0] / "provenance.json").read_text(encoding="utf-8"))
    assert set(provenance) == set(PROVENANCE_KEYS)
    assert all(set(trial) == set(PROVENANCE_OF_TRIAL) for trial in provenance["trials"].values())
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


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate])
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
    made = frames(plan, records, table_rows(plan, records, registries()), run_ids={record.fingerprint: host})
    for path in write_exports(made, tmp_path / "out", "csv"):
        back = guessed(path.read_text())
        for column, (kind, _) in COLUMNS[path.stem].items():
            if kind == "string":
                assert back[column] == [None if pd.isna(value) else value for value in made[path.stem][column]], column


def test_a_fingerprint_that_looks_like_a_number_is_an_id_in_every_table(tmp_path: Path) -> None:
    """One in six hundred does: 05076994e4836924 was an infinite number where the types of a CSV are guessed."""
    cell = CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1)
    seed = next(seed for seed in range(10_000) if cell.recipe(seed).fingerprint.replace("e", "", 1).isdigit())
    plan = plan_of(
        tmp_path, f"name: reported\ntitle: One\nseeds: [{seed}]\nfixed: {{dataset: omniglot, split: vinyals, way: 5, shot: 1}}\n"
    )
    (trial,) = plan.trials
    wanted = f"t-{trial.fingerprint}"
    records = records_of(plan, {seed: [74]})
    rows = table_rows(plan, records, registries())
    found = {path.stem: path.read_text() for path in write_exports(frames(plan, records, rows), tmp_path, "csv")}
    for name in ("trials", "episodes", "curves"):
        assert set(guessed(found[name])["trial_id"]) == {wanted}
    assert guessed(found["cells"])["trial_ids"] == guessed(render(rows, "csv", spec=plan.spec))["trial_ids"] == [wanted]
    assert trial.fingerprint in render(rows, "json", spec=plan.spec) and wanted not in render(rows, "json", spec=plan.spec)


@pytest.mark.parametrize("name", [*COLUMNS, "table"])
def test_no_column_is_a_word_of_sql(name: str) -> None:
    """Each can be asked for as it is, without quotation marks."""
    columns = list(COLUMNS[name]) if name in COLUMNS else [TABULAR.get(key, key) for key in CELL_KEYS]
    assert not set(columns) & (SQLITE | STANDARD)
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE exported ({', '.join(columns)})")
        database.execute(f"SELECT {', '.join(columns)} FROM exported ORDER BY {columns[0]}")


def test_a_cell_leads_to_its_evaluation_its_trials_and_their_episodes(tmp_path: Path) -> None:
    """The ids join the exports: a cell's number is the mean over the episodes of its trials in its evaluation."""
    plan = plan_of(tmp_path)
    write_exports(tables(plan, {0: [74, 75], 1: [70]}), tmp_path, "parquet")
    cells, episodes, trials = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("cells", "episodes", "trials"))
    assert cells["cell_id"].is_unique and len(cells) == len(plan.cells)
    assert set(cells["trial_ids"].explode()) == set(trials["trial_id"])
    joined = cells.explode("trial_ids").merge(
        episodes, left_on=["trial_ids", "evaluation_id"], right_on=["trial_id", "evaluation_id"]
    )
    means = joined.groupby("cell_id")["accuracy_percent"].mean()
    assert list(means[cells["cell_id"]]) == pytest.approx(list(cells["reproduced_percent"]))


def test_a_cell_keeps_its_id_whatever_its_seeds_and_neighbours(tmp_path: Path) -> None:
    whole, part = plan_of(tmp_path), plan_of(tmp_path, only=["way=5"], seeds="3")
    assert part.cells[0].fingerprint == whole.cells[0].fingerprint != whole.cells[1].fingerprint
    changed = plan_of(tmp_path, set_values=["query=5"])
    assert changed.cells[0].fingerprint != whole.cells[0].fingerprint


def test_parquet_keeps_times_and_lists(tmp_path: Path) -> None:
    found = {path.stem: pq.read_table(path) for path in write_exports(tables(plan_of(tmp_path), {0: [74]}), tmp_path, "parquet")}
    assert {str(found["trials"].schema.field(name).type) for name in ("started_at", "finished_at")} == {"timestamp[ms, tz=UTC]"}
    assert found["trials"]["started_at"].to_pylist() == [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), None, None]
    assert pa.types.is_list(found["cells"].schema.field("trial_ids").type)
    assert [len(ids) for ids in found["cells"]["trial_ids"].to_pylist()] == [3, 3]


def test_csv_has_times_in_iso_and_lists_in_one_field(tmp_path: Path) -> None:
    found = {path.stem: pd.read_csv(path) for path in write_exports(tables(plan_of(tmp_path), {0: [74]}), tmp_path, "csv")}
    assert found["trials"]["started_at"][0] == "2026-01-01T00:00:00.000+00:00"
    assert [len(ids.split(" ")) for ids in found["cells"]["trial_ids"]] == [3, 3]


def test_every_accuracy_is_in_percent(tmp_path: Path) -> None:
    """The curves too, which say of each metric what it is measured in."""
    found = tables(plan_of(tmp_path), {0: [75]})
    curves = found["curves"].set_index(["metric", "step"])
    assert list(curves.loc["validation_accuracy", "measured"]) == [50, 75]
    assert set(curves.loc["validation_accuracy", "unit"]) == {"percent"} and set(curves.loc["train_loss", "unit"]) == {"nats"}
    assert found["trials"]["validation_accuracy_percent"].max() == 75
    assert found["episodes"]["accuracy_percent"].max() == found["cells"]["reproduced_percent"].max() == 100


def test_every_setting_of_a_recipe_has_a_column() -> None:
    renamed = {"order": "maml_order", "steps": "steps_budget"}
    more = {"matching": {"fce": True, "reading_steps": 2, "support_order": "by_class"}}
    for algorithm in ("prototypical", "matching", "maml"):
        given: dict[str, Any] = {"algorithm": algorithm, **more.get(algorithm, {})}
        cell = CellSettings(dataset="omniglot", split="vinyals", way=5, shot=1, **given)
        assert {renamed.get(key, key) for key in recipe_settings(cell.recipe(0))} <= set(COLUMNS["trials"])


def test_every_fact_of_an_execution_has_a_column() -> None:
    """``versions`` and ``evaluations`` have several, ``device`` is the name of the device, ``steps`` are those done."""
    elsewhere = {"versions", "evaluations", "device_name", "steps"}
    facts = {field.name for field in dataclasses.fields(ExecutionRecord)} - elsewhere
    assert facts <= set(COLUMNS["trials"])
