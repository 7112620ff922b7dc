"""What the name of a sweep stands for: a path, else the current folder's sweep of that name, else the one that the package has."""

import os
from pathlib import Path

import pytest

from orchestrator.errors import UnknownSweepError
from orchestrator.report.published import registries_beside
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.preset_file import load_presets
from orchestrator.sweep.shipped import PRESETS, REGISTRIES, find_sweep, named_files

SWEEPS = Path(__file__).parents[3] / "sweeps"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests run in an empty folder, as a user's may be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("name: quick\n")
    return path


def test_a_path_precedes_the_current_folder_and_that_precedes_the_package(elsewhere: Path) -> None:
    assert find_sweep("quick") == SWEEPS / "quick.yaml"
    own = write(elsewhere / "sweeps" / "quick.yaml")
    assert find_sweep("quick").resolve() == own
    path = write(elsewhere / "quick")
    assert find_sweep("quick").resolve() == path


def test_a_folder_of_the_name_does_not_hide_the_sweep(elsewhere: Path) -> None:
    (elsewhere / "paper").mkdir()
    assert find_sweep("paper") == SWEEPS / "paper.yaml"


def test_a_sweep_may_be_a_pipe(elsewhere: Path) -> None:
    os.mkfifo(elsewhere / "pipe")
    assert find_sweep("pipe") == Path("pipe")


@pytest.mark.parametrize("name", ["papr", "paper.yml", "sweeps/paper.yaml", "", "..", "published", "presets/paper", "\0"])
def test_an_unknown_name_is_refused_with_the_names_that_exist(elsewhere: Path, name: str) -> None:
    write(elsewhere / "sweeps" / "mine.yaml")
    with pytest.raises(UnknownSweepError) as refused:
        find_sweep(name)
    assert repr(name) in str(refused.value)
    for accepted in ("mine", "paper", "quick", *(path.stem for path in SWEEPS.glob("*.yaml"))):
        assert accepted in str(refused.value).partition("names: ")[2].split(", ")


def test_files_with_a_name_are_those_of_both_folders_each_once(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tuple(sorted(SWEEPS.glob("*.yaml")))
    assert named_files() == shipped
    mine = write(elsewhere / "sweeps" / "mine.yaml")
    assert [path.resolve() for path in named_files()] == [mine, *shipped]
    monkeypatch.chdir(SWEEPS.parent)
    assert [path.resolve() for path in named_files()] == list(shipped)


def test_a_sweep_without_its_own_presets_and_registries_uses_the_packages(elsewhere: Path) -> None:
    assert {path.stem for path in PRESETS.glob("*.yaml")} == {preset.id for preset in load_presets(elsewhere)} != set()
    assert {path.stem for path in REGISTRIES.glob("*.yaml")} == {*registries_beside(elsewhere).cells, "margins"}


def test_a_sweep_of_the_package_loads_from_any_folder() -> None:
    assert load_sweep(find_sweep("quick")).name == "quick"
