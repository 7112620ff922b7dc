"""``fsl compare`` on committed exports and on a sweep's own records: what is printed, what is written, what it exits with."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from orchestrator.report.json_keys import COMPARISON_KEYS
from tests.orchestrator.tracking.tracked_sweep import tracked_sweep

FIRST_EDITION = Path(__file__).parents[3] / "results" / "first_edition"
MATCHING, PROTOTYPICAL, MAML = (FIRST_EDITION / name for name in ("matching_omniglot", "omniglot_prototypical", "maml_omniglot"))


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_rows_along_a_setting_are_compared_and_written(tmp_path: Path) -> None:
    done = fsl(MAML, "--by", "order", "--only", "steps=1000", "-o", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["comparisons"]
    assert list(found) == list(COMPARISON_KEYS)
    assert (found["paired_by"], found["spread_known"]) == ("evaluation", False)
    assert found["unlike"] == ["order 1 and 2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"comparison.{form}" for form in ("csv", "json", "png", "txt")]


def test_two_folders_are_compared_cell_by_cell() -> None:
    done = fsl(MATCHING, PROTOTYPICAL, "--by", "algorithm", "--only", "distance=squared_euclidean")
    assert done.exit_code == 0, done.output
    assert f"a: {MATCHING}\nb: {PROTOTYPICAL}" in done.stdout
    assert "b1 − a1" in done.stdout and "b2 − a2" in done.stdout
    assert f"rows 3, 4 of {PROTOTYPICAL}: no counterpart" in " ".join(done.stdout.split())
    assert "paired by evaluation, images and class split" in " ".join(done.stdout.split())


def test_a_sweep_is_compared_from_its_records(tmp_path: Path) -> None:
    tracked_sweep(tmp_path)
    done = fsl(tmp_path / "tiny.yaml", "--runs-root", tmp_path / "runs", "--json")
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["comparisons"]
    assert (found["paired_by"], found["seeds"], found["difference"]) == ("episodes", [0, 1], 0)


def test_an_overridden_launch_is_compared_by_its_overrides(tmp_path: Path) -> None:
    tracked_sweep(tmp_path)
    done = fsl(tmp_path / "tiny.yaml", "--runs-root", tmp_path / "runs", "--seeds", "1", "--json")
    assert done.exit_code == 0, done.output
    assert [found["seeds"] for found in json.loads(done.stdout)["comparisons"]] == [[1]]
    other = fsl(tmp_path / "tiny.yaml", "--runs-root", tmp_path / "runs", "--set", "meta_batch_size=3")
    assert other.exit_code == 2 and "no row of tiny has a finished seed yet" in " ".join(other.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((MATCHING, MATCHING), "two of different names"),
        ((MATCHING, "--by", "order"), "no two rows"),
        (("results/nonesuch",), "no folder of exports, such as results/NAME, is there either"),
        ((MATCHING, "--seeds", "0"), "--set and --seeds are overrides of a sweep"),
        ((MATCHING, "--only", "shot=2"), "no row matches --only shot=2"),
        ((MATCHING, "--only", "shots=2"), "did you mean 'shot'"),
        ((FIRST_EDITION,), "has no cells.parquet"),
        ((MATCHING, PROTOTYPICAL), "the two share no cell"),
        ((), "Missing argument"),
    ],
)
def test_what_cannot_be_compared_is_a_usage_error(arguments: tuple[object, ...], problem: str) -> None:
    done = fsl(*arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.split()) and not done.stdout
