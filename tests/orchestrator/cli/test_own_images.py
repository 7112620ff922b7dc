"""A user's own images from the command line, as ``docs/own_images.md`` shows it: checked, planned, run, and seen in a table."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from orchestrator.cli.main import main
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.fsl_core.datasets.own_images import write_own_images
from tests.orchestrator.small_sweep import launch

DOCUMENT = (Path(__file__).parents[3] / "docs" / "own_images.md").read_text(encoding="utf-8")
SHORT = ["steps=2", "validation_every=2", "validation_episodes=2", "evaluation_episodes=4", "filters=2", "patience=null"]


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def listed(part: str) -> list[str]:
    """The classes that the document lists for a split."""
    found = re.search(rf"`{part}\.txt`\n\n```\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1].split()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with the document's folder, of invented photographs."""
    splits = {part: listed(part) for part in ("meta_train", "meta_validation", "meta_test")}
    write_own_images(tmp_path / "data", "animals", splits=splits, each=10, side=32)
    return tmp_path / "data"


def test_the_example_of_the_document_runs_to_its_table(root: Path, tmp_path: Path) -> None:
    sweep, places = tmp_path / "animals.yaml", ("--data-root", root, "--runs-root", tmp_path / "runs")
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    sweep.write_text(found[1], encoding="utf-8")
    checked = fsl("data", "check", "folder", "--split", "animals", "--image-size", 32, *places)
    assert checked.exit_code == 0, checked.output
    assert "folder, split animals, image_size 32, channels 3" in checked.stdout and "120 of 36x32" in checked.stdout
    planned = fsl("plan", sweep, *places, "--json", "--no-probe", "--device", "cpu")
    assert len(json.loads(planned.stdout)["cells"]) == 4
    part = ["--seeds", "0", "--only", "algorithm=prototypical,shot=1", *(each for value in SHORT for each in ("--set", value))]
    plan = build_plan(load_sweep(sweep, set_values=SHORT, only=["algorithm=prototypical,shot=1"], seeds="0"))
    outcome = launch(plan, tmp_path / "runs")  # the prepared images need no data root
    (row,) = json.loads(fsl("table", sweep, *places, "--format", "json", *part).stdout)["cells"]
    assert outcome.complete and row["dataset"] == "folder" and row["reproduced"] is not None


def test_the_faults_of_the_document_are_reported_at_once(root: Path, tmp_path: Path) -> None:
    folder = root / "folder" / "animals"
    (folder / "images" / "fox" / "0.png").write_bytes(b"noise")
    shutil.rmtree(folder / "images" / "goat")
    (folder / "meta_test.txt").write_text("fox\ndeer\ncat\n")
    places = ("--data-root", root, "--runs-root", tmp_path / "runs")
    checked = fsl("data", "check", "folder", "--split", "animals", *places)
    assert checked.exit_code == 2 and "the source of folder has 3 faults" in checked.stderr
    for fault in ("class 'cat' is listed 2 times", "class 'goat' of meta_validation.txt has no folder", "0.png cannot be read"):
        assert fault in checked.stderr


def test_the_folder_must_be_named_and_be_there(root: Path, tmp_path: Path) -> None:
    places = ("--data-root", root, "--runs-root", tmp_path / "runs")
    unnamed, absent = fsl("data", "check", "folder", *places), fsl("data", "check", "folder", "--split", "plants", *places)
    assert (
        unnamed.exit_code == 2
        and f"give --split NAME, the folder of your images; found: animals in {root}/folder" in unnamed.stderr
    )
    assert absent.exit_code == 2 and f"{root}/folder/plants/images/<class>" in absent.stderr
    small = fsl("data", "check", "folder", "--split", "animals", "--image-size", 8, *places)
    assert small.exit_code == 2 and "image_size is 8" in small.stderr


def test_a_check_fails_on_a_picture_in_two_splits_and_sums_up_many_sizes(root: Path, tmp_path: Path) -> None:
    images = root / "folder" / "animals" / "images"
    for side in range(40, 45):
        Image.new("RGB", (side, side), (side, 0, 0)).save(images / "cat" / f"{side}.png")
    shutil.copy(images / "cat" / "0.png", images / "fox" / "0.png")
    places = ("--data-root", root, "--runs-root", tmp_path / "runs")
    checked = fsl("data", "check", "folder", "--split", "animals", "--image-size", 32, *places)
    assert checked.exit_code == 2 and "1 pair of identical images in two splits: scores" in checked.stderr
    assert "125 of 6 sizes, from 36x32 to 44x44" in checked.stdout
