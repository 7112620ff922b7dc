"""``fsl data`` on miniImageNet: what is prepared, what a check shows, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli.main import main
from tests.fsl_core.datasets.small_mini_imagenet import Pictures, as_archives, encoded, make_small, photograph, small_pictures


@pytest.fixture
def pictures() -> Pictures:
    return small_pictures()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)


def fsl(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("small")
def test_the_commands_prepare_and_check_it(tmp_path: Path, pictures: Pictures) -> None:
    twin = {
        "val/n2/n200000002.jpg": pictures["train/n1/n100000001.jpg"],
        "test/n4/n400000003.jpg": pictures["test/n4/n400000009.jpg"],
    }
    grey = {"train/n3/n300000004.jpg": encoded(photograph(3).convert("L"))}
    root = as_archives(tmp_path / "data", {**pictures, **twin, **grey})
    places = ("--data-root", root, "--runs-root", tmp_path / "runs")
    prepared = fsl("data", "prepare", "mini_imagenet", *places)
    assert prepared.exit_code == 0, prepared.output
    assert f"reading {root / 'mini_imagenet'} (archives)" in prepared.stderr
    assert "images read: 100 of 125\nimages read: 125 of 125" in prepared.stderr
    shown = fsl("data", "check", "mini_imagenet", *places)
    assert shown.exit_code == 0, shown.output
    source = f"{root / 'mini_imagenet'} (archives)"
    for line in (
        f"  source: {source}",
        "  25 images in each class",
        "  source pictures: 125 of 84x84",
        "  grey images (R = G = B): 1",
    ):
        assert line in shown.stdout.splitlines()
    assert "1 pair of identical images in two splits\n  meta_train: n1 #1 = meta_validation: n2 #2\n" in shown.stderr
    assert "1 pair of identical images within a split\n  meta_test: n4 #3 = meta_test: n4 #9\n" in shown.stderr
    (row,) = json.loads(fsl("data", "check", "mini_imagenet", *places, "--json").stdout)
    assert row["meta_train"] == {"base_classes": 3, "images": 75}
    assert row["images_in_each_class"] == {"usual": 25, "exceptions": {}}
    assert row["source"]["read_from"] == source
    assert row["source"]["sizes"] == {"84x84": 125} and row["source"]["faults"] == []
    assert [Path(name).name for name in row["source"]["grey"]] == ["n300000004.jpg"] and row["grey_images"] == 1
    assert row["identical_in_two_splits"] == [["meta_train: n1 #1", "meta_validation: n2 #2"]]
    assert row["identical_within_a_split"] == [["meta_test: n4 #3", "meta_test: n4 #9"]]
    assert "prepared earlier, in" in fsl("data", "prepare", "mini_imagenet", *places).stderr
    shutil.rmtree(root / "mini_imagenet")
    without = fsl("data", "check", "mini_imagenet", *places)
    assert without.exit_code == 0
    assert {"  source: none here", "  source pictures: none here"} <= set(without.stdout.splitlines())
    assert "no source files of mini_imagenet are here: only the images prepared from them earlier were checked" in without.stderr


def test_images_are_called_verified_only_once_they_are(tmp_path: Path) -> None:
    places = ("--runs-root", tmp_path / "runs")
    first, again = (fsl("data", "prepare", "glyphs", *places).stderr for _ in range(2))
    assert "preparing glyphs-28 once" in first and "verified" not in first
    assert "prepared earlier, in" in again and "verified, no source was read" in again
    images = tmp_path / "runs" / "data" / "glyphs-28" / "images.npy"
    images.write_bytes(images.read_bytes()[:-1] + b"\7")
    damaged = fsl("data", "prepare", "glyphs", *places)
    assert damaged.exit_code == 0 and "damaged: " in damaged.stderr and "verified" not in damaged.stderr


@pytest.mark.usefixtures("small")
def test_check_names_every_damaged_picture_and_exits_with_2(tmp_path: Path, pictures: Pictures) -> None:
    broken = ("train/n1/n100000003.jpg", "test/n4/n400000000.jpg")
    root = as_archives(tmp_path / "data", {**pictures, **dict.fromkeys(broken, b"noise")})
    result = fsl("data", "check", "mini_imagenet", "--data-root", root, "--runs-root", tmp_path / "runs", "--json")
    assert result.exit_code == 2 and "has 2 faults" in result.stderr
    assert all(name in result.stderr for name in broken)
    assert len(json.loads(result.stdout)[0]["source"]["faults"]) == 2
    assert not (tmp_path / "runs" / "data").exists()


def test_check_says_what_to_obtain_where_nothing_is(tmp_path: Path) -> None:
    result = fsl("data", "check", "mini_imagenet", "--data-root", tmp_path, "--runs-root", tmp_path / "runs")
    assert result.exit_code == 2 and "research use only" in result.stderr


@pytest.mark.parametrize("name", ["omniglot", "mini_imagenet"])
def test_check_says_what_lies_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "mini-imagenet-cache-train.pkl").write_bytes(b"noise")
    result = fsl("data", "check", name, "--data-root", tmp_path, "--runs-root", tmp_path / "runs")
    assert result.exit_code == 2 and "mini-imagenet-cache-train.pkl (a pickle, never opened here" in result.stderr


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--path", "wrong.json"], "holds no execution path", 2),
        (["--device", "cuda"], "cuda", 2),
        (["--seeds-together", "3", "--device", "cpu"], "seeds", 2),
        (["--executor", "ray", "--address", "127.0.0.1:1"], "127.0.0.1:1", 4),
    ],
)
def test_what_is_refused_does_not_wait_for_images(options: list[str], message: str, code: int, tmp_path: Path) -> None:
    """A sweep with a fallback data set prepares its own images before anything else, which takes seconds, or minutes of a download."""
    (tmp_path / "wrong.json").write_text("{}")
    quick = Path(__file__).parents[3] / "sweeps" / "quick.yaml"
    given = [str(tmp_path / each) if each.endswith(".json") else each for each in options]
    result = fsl("run", quick, "--data-root", tmp_path, "--runs-root", tmp_path / "runs", "--yes", *given)
    assert result.exit_code == code and message in result.stderr
    assert "omniglot" not in result.stderr.lower()


def test_a_sweep_on_its_fallback_says_what_lies_in_place_of_its_own_data(tmp_path: Path) -> None:
    (tmp_path / "omniglot").mkdir()
    (tmp_path / "omniglot" / "images_background.rar").write_bytes(b"Rar!")
    quick = Path(__file__).parents[3] / "sweeps" / "quick.yaml"
    result = fsl("status", quick, "--data-root", tmp_path, "--runs-root", tmp_path / "runs")
    assert "OMNIGLOT IS NOT HERE" in result.stderr
    assert f"omniglot, found: images_background.rar (a RAR archive) in {tmp_path / 'omniglot'}" in result.stderr
