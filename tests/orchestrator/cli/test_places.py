"""Where a command reads and writes, whoever says so."""

from pathlib import Path

import pytest

from orchestrator.cli.options import Given, Places
from orchestrator.cli.plan import plan
from orchestrator.cli.ui import ui
from orchestrator.sweep_loader import load_sweep
from tests.orchestrator.small_sweep import SMALL

NAMED = """
data_root: from_file/data
runs_root: from_file/runs
results_root: from_file/results
tracking_uri: sqlite:///from_file.db
"""
VARIABLES = {"FSL_DATA_ROOT": "data_root", "FSL_RUNS_ROOT": "runs_root", "MLFLOW_TRACKING_URI": "tracking_uri"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def given(folder: Path, *flags: str) -> Places:
    """The places of ``fsl plan`` with these flags, in the environment as it is, of a sweep file that names all of them."""
    sweep = folder / "small.yaml"
    sweep.write_text(SMALL + NAMED, encoding="utf-8")
    context = plan.make_context("plan", [str(sweep), *flags])
    return Places.resolve(Given(**{name: context.params.get(name) for name in VARIABLES.values()}), load_sweep(sweep))


def test_a_flag_comes_before_the_environment_and_that_before_the_sweep_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = given(tmp_path)
    assert (named.data_root, named.runs_root) == (tmp_path / "from_file/data", tmp_path / "from_file/runs")
    assert (named.results_root, named.tracking_uri) == (tmp_path / "from_file/results", "sqlite:///from_file.db")
    monkeypatch.setenv("FSL_DATA_ROOT", "from_environment/data")
    monkeypatch.setenv("FSL_RUNS_ROOT", "from_environment/runs")
    inherited = given(tmp_path)
    assert (inherited.data_root, inherited.runs_root) == (tmp_path / "from_environment/data", tmp_path / "from_environment/runs")
    assert given(tmp_path, "--runs-root", "from_flag").runs_root == tmp_path / "from_flag"


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_is_empty_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.chdir(tmp_path)
    named = given(tmp_path)
    monkeypatch.setenv(variable, "")
    assert given(tmp_path) == named


def test_the_store_is_named_by_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert ui.make_context("ui", []).params["tracking_uri"] == "http://127.0.0.1:9"
