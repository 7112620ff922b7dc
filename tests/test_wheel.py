"""The wheel: it holds all that a checkout computes with, and from any folder its command plans a sweep and runs one to the table."""

import os
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.built_wheel import ROOT, build_wheel, empty_environment, run, uv

TINY = {
    "dataset": "glyphs",
    "split": "glyphs",
    "filters": "8",
    "train_way": "5",
    "steps": "10",
    "validation_every": "5",
    "validation_episodes": "10",
    "evaluation_episodes": "20",
}
"""What makes a sweep of the package a matter of seconds."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has the wheel, and the libraries of the environment that runs this test."""
    commands = empty_environment(tmp_path_factory.mktemp("environment") / "venv")
    python = commands / "python"
    run(uv(), "pip", "install", "--no-deps", "--python", python, wheel, cwd=wheel.parent)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=wheel.parent).strip()
    # site reads the .pth files of its own folders alone, so that a checkout installed as editable beside the libraries stays out
    Path(own, "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return commands


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and nothing in the environment that says where images or runs are."""
    for name in [name for name in os.environ if name.startswith(("FSL_", "MLFLOW_", "RAY_"))]:
        monkeypatch.delenv(name)
    return tmp_path


def test_it_holds_every_source_split_sweep_preset_and_registry_and_the_marks_of_typed_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = [path for package in ("fsl_core", "orchestrator") for path in (ROOT / package).rglob("*.*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in code if path.suffix in (".py", ".txt", ".typed")}
    expected |= {f"orchestrator/shipped/{path.relative_to(ROOT / 'sweeps')}" for path in (ROOT / "sweeps").rglob("*.yaml")}
    assert held == expected
    assert held >= {"fsl_core/py.typed", "orchestrator/py.typed", "orchestrator/shipped/presets/paper.yaml"}


def test_a_name_finds_a_sweep_of_the_wheel_from_any_folder(commands: Path, elsewhere: Path) -> None:
    lines = run(commands / "fsl", "plan", "quick", "--no-probe", cwd=elsewhere).splitlines()
    installed = Path(lines[-1].removeprefix("sweep file: "))
    assert installed.is_relative_to(commands.parent) and installed.name == "quick.yaml"
    assert not list(elsewhere.iterdir())


def test_a_sweep_of_the_wheel_runs_to_its_table_in_an_empty_folder(commands: Path, elsewhere: Path) -> None:
    changes = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    narrowed = ("--only", "algorithm=prototypical,way=5,shot=1", "--seeds", "0")
    run(commands / "fsl", "run", "quick", *changes, *narrowed, "--executor", "in-process", "--no-probe", "-y", cwd=elsewhere)
    (table,) = elsewhere.glob("runs/sweeps/quick/report/table.md")
    assert "| Prototypical squared Euclidean | glyphs (invented) | 5 | 1 |" in table.read_text()


def test_the_code_of_the_wheel_is_that_of_the_checkout(commands: Path, elsewhere: Path) -> None:
    """A driver and its workers may have either."""
    script = "import sys; from fsl_core.code_digest import code_digest; print(sys.modules['fsl_core'].__file__, code_digest())"
    (ours, digest), (theirs, same) = (
        run(python, "-c", script, cwd=folder).split()
        for python, folder in ((commands / "python", elsewhere), (Path(sys.executable), ROOT))
    )
    assert (ours == theirs, digest) == (False, same)
