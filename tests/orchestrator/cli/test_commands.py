"""Every command, on a small sweep on glyphs: what is printed where, and what it exits with."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_as_document, read_path
from orchestrator.cli.main import main
from orchestrator.records.driver_lock import driver_lock
from orchestrator.records.store import Store
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from orchestrator.sweep.shipped import find_sweep
from tests.orchestrator.small_sweep import SMALL, contents
from tests.orchestrator.tracking.tracked_sweep import result_of
from tests.test_heavy_imports import CALL, HEAVY, loaded_by

ENVIRONMENT = ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "FSL_DEBUG")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


class Workplace:
    """A folder with a sweep file, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.results = folder, folder / "runs", folder / "results"
        self.sweep = folder / "small.yaml"
        self.sweep.write_text(SMALL)

    def fsl(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    def run(self, *arguments: object) -> Result:
        places = ("--runs-root", self.runs, "--results-root", self.results)
        return self.fsl("run", self.sweep, *places, "--executor", "in-process", "-y", *arguments)

    def read(self, command: str, *arguments: object) -> Result:
        return self.fsl(command, self.sweep, "--runs-root", self.runs, *arguments)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workplace, Result]]:
    workplace = Workplace(tmp_path_factory.mktemp("done"))
    yield workplace, workplace.run()


@pytest.fixture
def fresh(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_run_prints_the_table_on_stdout_and_all_else_on_stderr(done: tuple[Workplace, Result]) -> None:
    workplace, result = done
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("A small sweep on glyphs\n")
    assert "2/2" in result.stdout and "no published number" in result.stdout
    assert "done" in result.stderr and "fsl ui" in result.stderr
    assert str(workplace.results / "small") in result.stderr


def test_a_complete_sweep_leaves_table_exports_figures_and_runs(done: tuple[Workplace, Result]) -> None:
    workplace, _ = done
    names = {path.name for path in (workplace.results / "small").iterdir()}
    assert {"table.md", "table.csv", "trials.parquet", "episodes.parquet", "curves.png", "provenance.json"} <= names
    assert (workplace.runs / "mlflow.db").is_file()
    assert len(list(workplace.runs.glob("trials/*/episode.png"))) == 2


def test_what_a_launch_took_is_said_beside_what_was_predicted_and_kept(done: tuple[Workplace, Result]) -> None:
    workplace, result = done
    (said,) = (line for line in result.stderr.splitlines() if line.startswith("this launch: "))
    assert said.startswith("this launch: 2 trials took ") and said.count("(predicted: about ") == 2
    assert said.removeprefix("this launch: ") in workplace.read("status").stdout
    (times,) = json.loads(workplace.read("status", "--json").stdout)["launches"]
    assert times["trials"] == 2 and times["uncompared"] == [] and times["predicted_wall_seconds"]["likely"] > 0


def test_run_again_computes_nothing_and_prints_the_same(done: tuple[Workplace, Result]) -> None:
    workplace, first = done
    before = contents(workplace.runs)
    again = workplace.run()
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert "2 of them done before" in again.stderr and ": running" not in again.stderr and "this launch: " not in again.stderr
    assert contents(workplace.runs) == before


def test_run_again_imports_no_library_that_takes_a_second_but_those_of_a_tracker(done: tuple[Workplace, Result]) -> None:
    workplace, _ = done
    assert workplace.run().exit_code == 0  # the exports have the ids of all MLflow runs by now
    places = ("--runs-root", workplace.runs, "--results-root", workplace.results)
    again = ("run", workplace.sweep, *places, "--tracker", "none", "--executor", "in-process", "--device", "cpu", "-y")
    assert loaded_by(CALL, *again) & HEAVY == set()


def test_runs_that_became_known_rewrite_the_exports_alone(done: tuple[Workplace, Result]) -> None:
    workplace, _ = done
    known = workplace.runs / "sweeps" / "small" / "mlflow_runs.json"
    assert workplace.run().exit_code == 0

    def rewritten(ids: str) -> set[str]:
        known.write_text(ids)
        before = {path.name: path.stat().st_ino for path in (workplace.results / "small").iterdir()}
        assert workplace.run("--tracker", "none").exit_code == 0
        return {path.name for path in (workplace.results / "small").iterdir() if path.stat().st_ino != before[path.name]}

    for ids in ("{}", known.read_text()):
        names = rewritten(ids)
        assert "trials.parquet" in names and {Path(name).suffix for name in names} == {".parquet"}
    assert rewritten(known.read_text()) == set()


def test_table_is_a_function_of_the_results(done: tuple[Workplace, Result]) -> None:
    workplace, first = done
    assert workplace.read("table").stdout == first.stdout
    lines = list(csv.DictReader(io.StringIO(workplace.read("table", "--format", "csv").stdout)))
    cells = json.loads(workplace.read("table", "--json").stdout)["cells"]
    assert [int(line["way"]) for line in lines] == [cell["way"] for cell in cells] == [5, 10]
    assert all(0 < cell["reproduced"] < 100 and cell["published"] == [] for cell in cells)
    assert "\\begin{tabular}" in workplace.read("table", "--format", "latex").stdout
    assert "| ---" in workplace.read("table", "--format", "md").stdout


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_export_prints_the_files_that_it_wrote(done: tuple[Workplace, Result], tmp_path: Path, form: str) -> None:
    chosen = () if form == "parquet" else ("--format", form)  # Parquet is the default
    result = done[0].read("export", *chosen, "-o", tmp_path)
    assert [Path(line).name for line in result.stdout.splitlines()] == [
        f"{name}.{form}" for name in ("trials", "cells", "published", "episodes", "curves")
    ]
    assert all(Path(line).is_file() for line in result.stdout.splitlines())


def test_status_gives_accuracies_in_percent_as_the_exports_do(done: tuple[Workplace, Result]) -> None:
    trials = json.loads(done[0].read("status", "--json").stdout)["trials"]
    assert all(10 <= trial["validation_accuracy_percent"] <= 100 for trial in trials)


def test_status_counts_and_names(done: tuple[Workplace, Result], fresh: Workplace) -> None:
    assert done[0].read("status").stdout.startswith("0 running, 0 waiting, 2 done, 0 failed")
    assert json.loads(fresh.read("status", "--json").stdout)["counts"] == {
        "running": 0, "scoring": 0, "stopped": 0, "waiting": 2, "done": 0, "diverged": 0, "failed": 0,
    }  # fmt: skip


def test_status_tells_whether_a_launch_is_alive(done: tuple[Workplace, Result], fresh: Workplace) -> None:
    assert "no launch is running\n" in done[0].read("status").stdout
    text = fresh.read("status", "--seeds", "1").stdout
    assert f"no launch is running; fsl run {fresh.sweep} --seeds 1 --runs-root {fresh.runs} resumes" in text
    with driver_lock(fresh.runs / "sweeps" / "small"):
        assert f"a launch is running: process {os.getpid()} on " in fresh.read("status").stdout
        assert json.loads(fresh.read("status", "--json").stdout)["running_launch"].startswith(f"process {os.getpid()}")


def test_status_gives_the_step_of_the_validation_that_it_shows(done: tuple[Workplace, Result]) -> None:
    assert len(re.findall(r"validation [\d.]+ % \(step \d+\)", done[0].read("status").stdout)) == 2


def test_a_dry_run_is_the_plan_and_computes_nothing(fresh: Workplace) -> None:
    result = fresh.run("--dry-run")
    assert result.exit_code == 0 and "2 to do" in result.stdout
    assert not (fresh.runs / "trials").exists()


def test_trials_take_the_path_that_is_given(fresh: Workplace) -> None:
    given = ExecutionPath(layout="channels_first", stem="maps")
    file = fresh.folder / "path.json"
    file.write_bytes(path_as_document(given))
    refused = fresh.run("--no-probe", "--threads", "2", "--path", str(file), "--set", "steps=5", "--seeds", "0")
    assert refused.exit_code == 2 and "give --device cpu --threads 1" in refused.stderr
    assert fresh.run("--no-probe", "--path", str(file), "--set", "steps=5", "--seeds", "0").exit_code == 0
    paths = [read_path(each) for each in (fresh.runs / "trials").glob("*/path.json")]
    assert paths and set(paths) == {given}


def test_a_file_that_holds_no_path_is_refused_before_the_images(fresh: Workplace) -> None:
    file = fresh.folder / "path.json"
    file.write_text('{"path": {"device": "cpu", "threads": 1}}')
    refused = fresh.run("--path", file)
    assert refused.exit_code == 2 and "it has no episodes_at_once, layout" in refused.stderr
    assert not (fresh.runs / "data").exists()


def test_paths_that_are_measured_are_kept_for_later_trials(fresh: Workplace) -> None:
    assert fresh.run("--no-probe", "--set", "steps=5", "--seeds", "0").exit_code == 0
    kept = [read_path(file) for file in (fresh.runs / "paths").iterdir()]
    assert kept and {read_path(each) for each in (fresh.runs / "trials").glob("*/path.json")} == set(kept)


def test_trials_compute_with_the_threads_that_are_asked_for(fresh: Workplace) -> None:
    result = fresh.run("--no-probe", "--threads", "2", "--set", "steps=5", "--seeds", "0")
    assert result.exit_code == 0, result.output
    (execution,) = fresh.runs.glob("trials/*/execution.json")
    assert json.loads(execution.read_text())["threads"] == 2


def test_an_overridden_sweep_never_touches_the_results(fresh: Workplace) -> None:
    result = fresh.run("--set", "steps=5", "--seeds", "0")
    assert result.exit_code == 0
    assert "--set steps=5 --seeds 0" in result.stdout
    assert not fresh.results.exists()
    assert (fresh.runs / "sweeps" / "small" / "report" / "table.md").is_file()


def only_seed_0(workplace: Workplace, name: str = "small.yaml", **changes: str) -> Path:
    """A sweep file of one short trial, under the same sweep's name."""
    text = SMALL.replace("seeds: [0, 1]", "seeds: [0]").replace("steps: 20", f"steps: {changes.get('steps', '5')}")
    path = workplace.folder / name
    path.write_text(text)
    return path


def test_a_name_and_a_finished_table_pass_to_another_sweep_only_when_told(fresh: Workplace) -> None:
    first, second = only_seed_0(fresh), only_seed_0(fresh, "other.yaml", steps="10")
    finished = fresh.results / "small"
    assert fresh.run().exit_code == 0
    tables = {path.name: path.read_bytes() for path in finished.iterdir()}
    only_seed_0(fresh, steps="6")
    edited = fresh.run()
    assert edited.exit_code == 0 and "holds the finished table of another plan" in edited.stderr
    (own,) = fresh.results.glob("small.*")
    assert str(own) in edited.stderr and (own / "table.md").is_file()
    before, fresh.sweep = contents(fresh.runs), second
    for further in ((), ("--set", "filters=4")):
        refused = fresh.run(*further)
        assert refused.exit_code == 2 and "--replace" in refused.stderr
        assert str(first) in refused.stderr and str(second) in refused.stderr
    assert contents(fresh.runs) == before
    assert tables == {path.name: path.read_bytes() for path in finished.iterdir()}
    replaced = fresh.run("--replace")
    assert replaced.exit_code == 0 and len(list(fresh.results.iterdir())) == 3
    assert json.loads((finished / "provenance.json").read_text())["plan"] == build_plan(load_sweep(second)).fingerprint


def test_a_failed_trial_exits_with_3_and_says_how_to_look_into_it(fresh: Workplace) -> None:
    fingerprint = json.loads(fresh.read("plan", "--json").stdout)["trials"][0]["fingerprint"]
    paths = Store(fresh.runs).paths(fingerprint)
    paths.folder.mkdir(parents=True)
    paths.checkpoints.write_text("a file where a folder belongs")
    result = fresh.run("--set", "steps=20")
    assert result.exit_code == 3
    status = fresh.read("status", "--set", "steps=20")
    assert "1 done, 1 failed" in status.stdout
    assert str(paths.log) in status.stdout and "--executor in-process" in status.stdout
    assert "Traceback" not in result.output


def test_the_command_that_looks_into_a_failure_runs_that_cell_and_no_other(fresh: Workplace) -> None:
    """Also where --only has left a single cell, which nothing sets apart from the others any more."""
    given = ("--set", "steps=20", "--only", "way=10")
    fingerprint = json.loads(fresh.read("plan", "--json", *given).stdout)["trials"][0]["fingerprint"]
    paths = Store(fresh.runs).paths(fingerprint)
    paths.folder.mkdir(parents=True)
    paths.checkpoints.write_text("a file where a folder belongs")
    assert fresh.run(*given).exit_code == 3
    command = json.loads(fresh.read("status", "--json", *given).stdout)["failures"][0]["command"]
    program, verb, *arguments = shlex.split(command)
    assert (program, verb) == ("fsl", "run")
    shown = json.loads(
        fresh.fsl("plan", *[part for part in arguments if part not in ("--executor", "in-process")], "--json").stdout
    )
    assert [(cell["way"], cell["shot"]) for cell in shown["cells"]] == [(10, 1)]
    assert [trial["fingerprint"] for trial in shown["trials"]] == [fingerprint]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("way=10_000", "--set way=10000: way is 10000; meta_test of glyphs has 240 classes"),
        ("train_way=10_000", "--set train_way=10000: train_way is 10000; meta_train of glyphs has 400 classes"),
        (
            "validation_query=5000",
            "--set validation_query=5000: validation_query is 5000; with 1 support images that is 5001 images",
        ),
    ],
)
def test_what_the_data_set_does_not_suffice_for_is_refused_before_anything_is_prepared(
    fresh: Workplace, given: str, expected: str
) -> None:
    result = fresh.run("--set", given, "--only", "shot=1")
    assert result.exit_code == 2
    assert expected in result.stderr
    assert not list(fresh.runs.glob("*"))


def test_a_sweep_that_is_held_exits_with_5_before_anything_is_prepared_or_timed(fresh: Workplace) -> None:
    with driver_lock(fresh.runs / "sweeps" / "small"):
        result = fresh.run()
        assert sorted(path.name for path in fresh.runs.iterdir()) == ["sweeps", "trials"]
        assert not list((fresh.runs / "trials").iterdir())
    assert result.exit_code == 5
    assert result.stderr.startswith(f"Error: another run holds the sweep small: process {os.getpid()} on ")


def test_removing_what_old_runs_left_names_the_sweep_that_runs_and_removes_nothing(fresh: Workplace) -> None:
    rays = fresh.runs / "sweeps" / "small" / "ray"
    rays.mkdir(parents=True)
    with driver_lock(rays.parent):
        result = fresh.fsl("gc", "-y", "--runs-root", fresh.runs)
    assert result.exit_code == 5
    assert "another run holds the sweep small" in result.stderr and "nothing was removed" in result.stderr
    assert rays.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "nothing.yaml"), "neither a sweep file nor the name of a sweep; the names: anil, article_2018,"),
        (("frobnicate",), "No such command"),
        (("table", "SWEEP", "--format", "pdf"), "'pdf' is not one of"),
        (("plan", "SWEEP", "--set", "stepz=1"), "did you mean 'steps'?"),
        (("plan", "SWEEP", "--only", "way=7"), "no cell of the sweep matches"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_message(fresh: Workplace, arguments: tuple[str, ...], expected: str) -> None:
    result = fresh.fsl(*(str(fresh.sweep) if part == "SWEEP" else part for part in arguments))
    assert result.exit_code == 2
    assert expected in result.stderr and "Traceback" not in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_exits_with_2(fresh: Workplace) -> None:
    result = fresh.run("--device", "cuda")
    assert result.exit_code == 2
    assert "no CUDA device" in result.stderr


def test_without_omniglot_a_sweep_says_what_to_do(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import Omniglot as TorchvisionOmniglot

    monkeypatch.setattr(TorchvisionOmniglot, "download_url_prefix", "http://127.0.0.1:9")
    fresh.sweep.write_text(SMALL.replace("dataset: glyphs, split: glyphs", "dataset: omniglot, split: vinyals"))
    result = fresh.run()
    assert result.exit_code == 2
    assert "images_background.zip" in result.stderr and "FSL_DATA_ROOT" in result.stderr


def test_the_fallback_is_loud_and_its_table_is_never_omniglots(fresh: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import Omniglot as TorchvisionOmniglot

    monkeypatch.setattr(TorchvisionOmniglot, "download_url_prefix", "http://127.0.0.1:9")
    text = SMALL.replace("dataset: glyphs, split: glyphs", "dataset: omniglot, split: vinyals")
    fresh.sweep.write_text(text + "published: [snell_2017]\nfallback_dataset: glyphs\n")
    result = fresh.run("--set", "steps=5", "--seeds", "0")
    assert result.exit_code == 0, result.output
    assert "OMNIGLOT IS NOT HERE" in result.stderr and "NOT OF OMNIGLOT" in result.stderr
    assert " on glyphs (invented): Omniglot was not found\n" in result.stdout and "98.8" not in result.stdout
    assert not (fresh.runs / "sweeps" / "small").exists()


def test_gc_keeps_what_a_run_with_overrides_made_until_that_run_is_forgotten(fresh: Workplace) -> None:
    fresh.run("--set", "steps=5", "--seeds", "0")
    before = contents(fresh.runs)
    swept = fresh.fsl("gc", "--runs-root", fresh.runs, fresh.sweep, "-y")
    assert swept.exit_code == 0, swept.output
    assert contents(fresh.runs) == before
    assert "kept: 1 trial, " in swept.stderr and "--set steps=5 --seeds 0" in swept.stderr
    forget = ("gc", "--runs-root", fresh.runs, fresh.sweep, "--forget", "small")
    listed = fresh.fsl(*forget)
    assert listed.exit_code == 0 and "trials" in listed.stdout and "nothing was removed" in listed.stderr
    assert contents(fresh.runs) == before
    assert fresh.fsl(*forget, "-y").exit_code == 0
    assert not contents(fresh.runs)
    assert fresh.fsl(*forget).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("run", "quick", "--dry-run", "--no-probe"),
        ("plan", "quick", "--no-probe"),
        ("table", "quick"),
        ("status", "quick", "--json"),
        ("export", "quick", "--format", "csv"),
        ("compare", "quick", "--by", "distance"),
        ("gc", "quick"),
    ],
    ids=lambda command: command[0],
)
def test_a_command_says_which_file_a_name_stands_for_and_nothing_of_a_path(
    fresh: Workplace, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(fresh.folder)
    said = f"sweep file: {find_sweep('quick')}"
    of_name = fresh.fsl(*command, "--runs-root", fresh.runs)
    of_path = fresh.fsl(command[0], find_sweep("quick"), *command[2:], "--runs-root", fresh.runs)
    if command[0] == "plan":  # its text ends with the file in any case
        assert of_name.stdout.splitlines()[-1] == said and said not in of_name.stderr
    else:
        assert of_name.stderr.splitlines().count(said) == 1 and said not in of_path.stderr


def test_gc_without_a_sweep_keeps_the_trials_of_the_sweeps_of_the_package(
    fresh: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(fresh.runs)
    wanted = build_plan(load_sweep(find_sweep("quick"))).trials[0]
    unwanted = build_plan(load_sweep(fresh.sweep)).trials[0]
    for trial in (wanted, unwanted):
        store.paths(trial.fingerprint).folder.mkdir(parents=True)
        store.write_result(result_of(trial))
    monkeypatch.chdir(fresh.folder)
    listed = fresh.fsl("gc", "--runs-root", fresh.runs, "--unrecorded").stdout
    assert unwanted.fingerprint in listed and wanted.fingerprint not in listed


def test_data_check_shows_the_splits(fresh: Workplace) -> None:
    result = fresh.fsl("data", "check", "glyphs", "--runs-root", fresh.runs, "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.stdout)
    assert (row["meta_train"], row["meta_test"]["images"]) == ({"base_classes": 100, "images": 2000}, 1200)


def test_ctrl_c_exits_with_4_and_the_next_run_goes_on(fresh: Workplace) -> None:
    command = [sys.executable, "-c", "from orchestrator.cli.main import main; main()", "run", str(fresh.sweep), "-y"]
    command += ["--runs-root", str(fresh.runs), "--executor", "in-process", "--set", "steps=400"]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not list(fresh.runs.glob("trials/*/checkpoints/select/*.pt")):
        time.sleep(0.05)
    driver.send_signal(signal.SIGINT)
    stdout, stderr = driver.communicate(timeout=240)
    assert driver.returncode == 4, stderr
    assert "the same command resumes" in stderr and "Traceback" not in stderr
    assert "0/2" in stdout
    assert "1 stopped, 1 waiting" in fresh.read("status", "--set", "steps=400").stdout
