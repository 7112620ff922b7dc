"""The Python calls: what each gives, that the commands give the same, and that a library prints nothing."""

import contextlib
import io
import json
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from click.testing import CliRunner

import orchestrator as fsl
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document
from orchestrator.api.inherited import settled_environment
from orchestrator.api.tables import TableForm
from orchestrator.cli.main import main
from orchestrator.errors import ComparisonError, ExecutorError, FolderError, SweepFileError, TrackingError, UnknownSweepError
from orchestrator.process.signals import stop_file_on_signals
from orchestrator.report.table import FORMATS

SWEEP = """
name: distances
title: Two distances on glyphs
seeds: [0]
fixed: {dataset: glyphs, split: glyphs, way: 5, shot: 1, train_way: 5, train_query: 3, filters: 8, steps: 10, patience: null,
        validation_every: 5, validation_episodes: 10, validation_query: 5, evaluation_episodes: 20}
grid: {distance: [squared_euclidean, cosine]}
"""
VARIABLES = ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Done:
    """A sweep that was run, how that ended, and what it printed."""

    file: Path
    sweep: fsl.Sweep
    run: fsl.SweepRun
    printed: str

    def command(self, name: str, *arguments: object) -> str:
        result = CliRunner().invoke(
            main, [name, str(self.file), "--runs-root", str(self.file.parent / "runs"), *map(str, arguments)]
        )
        assert result.exit_code == 0, result.output
        return result.stdout


def loaded(folder: Path, **changes: object) -> fsl.Sweep:
    file = folder / "distances.yaml"
    file.write_text(SWEEP)
    return fsl.load(file, runs_root=folder / "runs", results_root=folder / "results", **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder, printed = tmp_path_factory.mktemp("done"), io.StringIO()
    sweep, path = loaded(folder), folder / "path.json"
    path.write_bytes(path_as_document(ExecutionPath()))  # measuring which is the fastest takes longer than the trials
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        run = fsl.run(sweep, executor="in-process", probe=False, tracker="none", path=path)
    yield Done(folder / "distances.yaml", sweep, run, printed.getvalue())


def test_a_run_computes_all_writes_the_table_and_prints_nothing(done: Done) -> None:
    assert done.run.complete and len(done.run.outcome.computed) == 2 and done.printed == ""
    written = done.file.parent / "results" / "distances" / "table.txt"
    assert written in done.run.outcome.files and written.read_text() == done.run.table().text()
    assert not (done.file.parent / "runs" / "mlflow.db").exists()


@pytest.mark.parametrize("form", list(FORMATS))
def test_the_command_and_the_call_give_the_same_table(done: Done, form: str) -> None:
    assert done.command("table", "--format", form) == fsl.table(done.sweep).text(form).rstrip("\n") + "\n"  # type: ignore[arg-type]


def test_every_form_of_a_table_has_its_type() -> None:
    assert set(get_args(TableForm)) == set(FORMATS)


def test_a_table_is_a_frame_with_a_row_for_each_cell(done: Done) -> None:
    table = fsl.table(done.sweep)
    cells = json.loads(table.text("json"))["cells"]
    assert table.frame()["reproduced_percent"].tolist() == pytest.approx([cell["reproduced"] for cell in cells], abs=1e-5)
    assert set(table.frames()) == {"trials", "cells", "published", "episodes", "curves"}


def test_rows_are_compared_as_the_command_compares_them(done: Done) -> None:
    compared = fsl.compare(done.sweep, by="distance")
    assert (
        compared.text()
        == CliRunner()
        .invoke(main, ["compare", str(done.file), "--runs-root", str(done.file.parent / "runs"), "--by", "distance"])
        .stdout
    )
    (row,) = compared.frame().to_dict("records")
    assert row["difference"] == pytest.approx(compared.pairs[0].difference, rel=1e-4) and row["paired_by"] == "episodes"
    folder = fsl.compare(done.file.parent / "results" / "distances", by="distance")
    assert folder.pairs[0].difference == compared.pairs[0].difference


def test_a_comparison_that_cannot_be_made_is_an_error_and_no_exit(done: Done) -> None:
    with pytest.raises(ComparisonError, match="no row is"):
        fsl.compare(done.sweep, rows=("1", "7"))
    with pytest.raises(ComparisonError, match="give one table, or two"):
        fsl.compare()


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_exports_are_files_and_frames(done: Done, tmp_path: Path, form: str) -> None:
    exports = fsl.export(done.sweep, tmp_path, form=form)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.{form}" for name in exports.frames}
    read = pd.read_parquet if form == "parquet" else pd.read_csv
    assert len(read(exports.files["episodes"])) == len(exports.frames["episodes"]) == 40


def test_a_status_has_the_state_of_each_trial(done: Done, tmp_path: Path) -> None:
    status, fresh = fsl.status(done.sweep), fsl.status(loaded(tmp_path))
    assert (status.counts["done"], fresh.counts["waiting"]) == (2, 2)
    assert json.loads(done.command("status", "--json"))["counts"] == status.counts
    assert status.frame()["state"].tolist() == ["done", "done"] and status.failures == {}
    assert status.launches[0].trials == 0 and not fresh.launches  # nothing was predicted without a probe


def test_a_plan_says_what_is_left(done: Done, tmp_path: Path) -> None:
    planned, fresh = fsl.plan(done.sweep, probe=False), fsl.plan(loaded(tmp_path), probe=False, executor="in-process")
    assert not planned.forecast.left and planned.frame()["state"].tolist() == ["done", "done"]
    assert len(fresh.forecast.left) == 2 and fresh.frame()["seconds"].isna().all() and fresh.forecast.slots == 1
    assert not (tmp_path / "runs").exists()


def test_every_call_takes_a_path_and_the_environment_says_where(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSL_RUNS_ROOT", str(done.file.parent / "runs"))
    assert fsl.status(str(done.file)).counts["done"] == fsl.status(done.file).counts["done"] == 2


def test_a_cluster_is_named_by_the_environment_as_for_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ExecutorError, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        fsl.plan(loaded(tmp_path), probe=False)
    assert fsl.plan(loaded(tmp_path), probe=False, address="local").forecast.left


def test_a_sweep_of_the_package_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fsl.load("quick").spec.name == "quick"
    with pytest.raises(UnknownSweepError, match="quick"):
        fsl.load("quikc")


def test_overrides_are_values_or_the_texts_of_the_command_line(tmp_path: Path) -> None:
    values = loaded(tmp_path, set={"steps": 20, "patience": None, "distance": "cosine"}, only="way=5", seeds=[0, 1])
    texts = loaded(tmp_path, set=["steps=20", "patience=null", "distance=cosine"], only=["way=5"], seeds="0,1")
    assert values.spec == texts.spec and values.spec.seeds == (0, 1) and values.spec.cells[0].steps == 20


def test_what_is_wrong_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SweepFileError, match="stesp"):
        loaded(tmp_path, set={"stesp": 3})
    with pytest.raises(FolderError, match=r"runs_root: .\$NOWHERE/runs"):
        fsl.load(tmp_path / "distances.yaml", runs_root="$NOWHERE/runs")
    with pytest.raises(TrackingError, match="tracking_uri"):
        fsl.run(loaded(tmp_path, tracking_uri="nowhere"), executor="in-process")


def test_a_fallback_data_set_is_a_warning(tmp_path: Path) -> None:
    sweep = tmp_path / "omniglot.yaml"
    sweep.write_text(
        SWEEP.replace("dataset: glyphs, split: glyphs", "dataset: omniglot, split: vinyals") + "fallback_dataset: glyphs\n"
    )
    with pytest.warns(fsl.SweepWarning, match="OMNIGLOT IS NOT HERE"):
        table = fsl.table(fsl.load(sweep, runs_root=tmp_path / "runs"))
    assert [row.dataset for row in table.rows] == ["glyphs", "glyphs"]
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fsl.table(fsl.load(sweep, runs_root=tmp_path / "runs", callbacks=fsl.Callbacks(warn=heard.append)))
    assert "OMNIGLOT IS NOT HERE" in heard[0]


def test_the_callers_filters_of_warnings_are_its_own_again_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    before = list(warnings.filters)
    with settled_environment():
        assert list(warnings.filters) != before
    assert list(warnings.filters) == before


def test_a_tracker_that_is_none_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="'wandb' is no tracker; accepted: mlflow, none"):
        fsl.run(loaded(tmp_path), executor="in-process", tracker="wandb")
    assert not (tmp_path / "runs").exists()


def test_the_callers_environment_is_its_own_again_after_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "another's")
    monkeypatch.setenv("MPLBACKEND", "agg")
    before = dict(os.environ)
    with settled_environment():
        assert "MLFLOW_RUN_ID" not in os.environ and os.environ["MPLBACKEND"] == "agg"
    assert dict(os.environ) == before


def test_a_thread_that_may_have_no_signals_may_run_a_sweep(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            with stop_file_on_signals(tmp_path / "stop", failed.append):  # type: ignore[arg-type]
                pass
        except ValueError as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert failed == []


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    assert sorted(fsl._MODULES) == sorted(fsl.__all__)
    assert set(fsl.__all__) <= set(dir(fsl))
    for name in fsl.__all__:
        assert getattr(fsl, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'tabel'"):
        fsl.tabel  # noqa: B018
