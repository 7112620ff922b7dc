"""A password in the store's address ends in no file and on no screen, whichever way it was given."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from orchestrator.cli.main import main
from tests.orchestrator.small_sweep import SMALL

HUSH = "hush4ever"


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for name in ("MLFLOW_TRACKING_URI", "FSL_RUNS_ROOT", "FSL_DEBUG", "FSL_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def fsl(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr("sys.argv", ["fsl", *arguments])
    return CliRunner().invoke(main, arguments)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    return fsl(monkeypatch, "run", "small.yaml", "--executor", "in-process", "-y", "--seeds", "0", *arguments)


def holders(folder: Path, secret: str) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_run_leaves_no_trace_of_it(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    address = f"sqlite:///file:{workplace}/own.db?uri=true&token={HUSH}"  # SQLite does not look at the token
    result = run(monkeypatch, f"--tracking-uri={address}")
    assert result.exit_code == 0, result.output
    assert HUSH not in result.output
    assert '--tracking-uri "$MLFLOW_TRACKING_URI"' in result.stderr
    assert holders(workplace, HUSH) == []
    client = MlflowClient(tracking_uri=address)
    (experiment,) = [each for each in client.search_experiments() if each.name != "Default"]
    sources = {run.data.tags["mlflow.source.name"] for run in client.search_runs([experiment.experiment_id])}
    (command,) = sources
    assert shlex.split(command)[:3] == ["fsl", "run", "small.yaml"]
    assert "token=***" in command


def test_a_server_that_is_away_shows_none_either(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    sweep = workplace / "small.yaml"
    sweep.write_text(f"tracking_uri: http://me:{HUSH}@127.0.0.1:9/\n" + SMALL)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = run(monkeypatch)
    assert result.exit_code == 0, result.output
    assert "me:***@127.0.0.1:9" in result.stderr
    shown = fsl(monkeypatch, "ui", "--tracking-uri", f"http://me:{HUSH}@127.0.0.1:9/")
    assert shown.exit_code == 2
    assert "me:***@127.0.0.1:9" in shown.stderr
    assert HUSH not in result.output + shown.output
    assert holders(workplace, HUSH) == [str(sweep)]


@pytest.mark.parametrize("debug", ["0", "1"])
def test_an_internal_error_shows_none(workplace: Path, monkeypatch: pytest.MonkeyPatch, debug: str):
    def fail(*arguments: object) -> None:
        raise RuntimeError(f"no such host: postgresql://me:{HUSH}@db/x")

    monkeypatch.setattr("orchestrator.cli.ui.experiment_ids", fail)
    monkeypatch.setenv("FSL_DEBUG", debug)
    result = fsl(monkeypatch, "ui", "--tracking-uri", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "postgresql://me:***@db/x" in result.output
    assert HUSH not in result.output
    assert holders(workplace, HUSH) == []


def test_what_was_mistyped_is_repeated_without_it(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    typed = fsl(monkeypatch, "ui", f"postgresql://me:{HUSH}@db/x")
    (workplace / "small.yaml").write_text(f"trackin_uri: postgresql://me:{HUSH}@db/x\n" + SMALL)
    written = fsl(monkeypatch, "plan", "small.yaml")
    assert (typed.exit_code, written.exit_code) == (2, 2)
    assert HUSH not in typed.output + written.output


def test_a_variable_that_is_not_set_does_not_lead_to_another_store(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    result = fsl(monkeypatch, "ui", "--tracking-uri", "")
    assert result.exit_code == 2
    assert "is MLFLOW_TRACKING_URI set?" in result.output
