"""Prepared images whose bytes changed and whose sizes did not: no command computes on them under the digest of intact ones."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.orchestrator.small_sweep import SMALL, contents, launch

SAID = "is not what was prepared"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def damage(runs: Path) -> bytes:
    array = runs / "data" / "glyphs-28" / "images.npy"
    content = array.read_bytes()
    array.write_bytes(content[:5000] + bytes(20_000) + content[25_000:])
    return array.read_bytes()


def test_check_refuses_them_and_leaves_them_and_prepare_replaces_them(tmp_path: Path) -> None:
    places = ("glyphs", "--runs-root", tmp_path)
    intact = json.loads(fsl("data", "prepare", *places, "--json").stdout)
    damaged = damage(tmp_path)
    checked = fsl("data", "check", *places)
    assert checked.exit_code == 2 and SAID in checked.stderr
    assert "`fsl data prepare glyphs`" in checked.stderr
    assert (tmp_path / "data" / "glyphs-28" / "images.npy").read_bytes() == damaged
    again = fsl("data", "prepare", *places, "--json")
    assert json.loads(again.stdout) == intact and SAID in again.stderr and "set aside" in again.stderr
    assert fsl("data", "check", *places).exit_code == 0


def test_a_launch_prepares_them_again_and_gives_the_numbers_of_intact_ones(tmp_path: Path) -> None:
    sweep = tmp_path / "small.yaml"
    sweep.write_text(SMALL.replace("[0, 1]", "[0]"))
    intact, damaged = tmp_path / "intact", tmp_path / "damaged"
    assert launch(build_plan(load_sweep(sweep)), intact).complete
    fsl("data", "prepare", "glyphs", "--runs-root", damaged)
    damage(damaged)
    places = ("--runs-root", damaged, "--results-root", damaged / "results", "--executor", "in-process", "-y")
    result = fsl("run", sweep, *places)
    assert result.exit_code == 0, result.output
    assert SAID in result.stderr and "set aside" in result.stderr
    assert contents(damaged) == contents(intact) != {}
