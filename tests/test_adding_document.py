"""The example of docs/adding.md is a plug-in that plans and fulfils the contract, exactly as it is printed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "adding.md").read_text(encoding="utf-8")
CALL = "import sys; from orchestrator.cli.main import main; main(sys.argv[1:])"
CONTRACT = (
    "import sys; from pathlib import Path; from test_contract import test_the_contract; test_the_contract(Path(sys.argv[1]))"
)


def blocks(language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The printed package and its printed test, as an installer leaves them."""
    site, (project,) = tmp_path / "site", map(tomllib.loads, blocks("toml"))
    for code in blocks("python"):
        named = re.match(r"# (\S+\.py)\n", code)
        file = site / (named[1] if named else "test_contract.py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    for package in project["tool"]["setuptools"]["packages"]:
        (site / package / "__init__.py").touch()
    name, version = project["project"]["name"], project["project"]["version"]
    facts = site / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["project"]["entry-points"].items()
    points = "\n".join(f"[{group}]\n" + "\n".join(f"{key} = {value}" for key, value in each.items()) for group, each in groups)
    (facts / "entry_points.txt").write_text(points)
    return site


def call(site: Path, *arguments: object) -> str:
    """The output of a program that finds the package, or its error."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=site.parent, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_file_may_name_the_example(site: Path) -> None:
    fixed = {"algorithm": "warm", "dataset": "glyphs", "split": "glyphs", "way": 5, "shot": 1}
    sweep = {"name": "warm", "title": "Warm", "seeds": [0], "fixed": fixed, "grid": {"warmth": [0.5, 2.0]}}
    (site.parent / "warm.yaml").write_text(json.dumps(sweep))
    planned = json.loads(call(site, "-c", CALL, "plan", "warm.yaml", "--json", "--no-probe", "--device", "cpu"))
    assert [cell["name"].partition(" · ")[0] for cell in planned["cells"]] == ["warmth 0.5", "warmth 2"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_example_fulfils_the_contract(site: Path, tmp_path: Path) -> None:
    call(site, "-c", CONTRACT, tmp_path / "contract")
    assert list((tmp_path / "contract").rglob("result.json")), "the contract trains"
