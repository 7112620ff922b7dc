"""The project's metadata agree with each other, and the files that name commands name commands that exist."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def yaml(name: str) -> Any:
    return YAML(typ="safe").load((ROOT / name).read_text())


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = yaml("CITATION.cff")
    assert (citation["title"], citation["version"], citation["license"]) == tuple(
        PROJECT[key] for key in ("name", "version", "license")
    )
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_classifiers_name_the_pythons_that_are_accepted() -> None:
    named = {int(match[1]) for each in PROJECT["classifiers"] if (match := re.fullmatch(r".* :: 3\.(\d+)", each))}
    first, end = map(int, re.findall(r"3\.(\d+)", PROJECT["requires-python"]))
    assert named == set(range(first, end))


def test_the_workflow_runs_the_gate_on_the_oldest_and_the_newest_python() -> None:
    job = yaml(".github/workflows/ci.yml")["jobs"]["gate"]
    first, end = map(int, re.findall(r"3\.(\d+)", PROJECT["requires-python"]))
    assert job["strategy"]["matrix"]["python"] == [f"3.{first}", f"3.{end - 1}"]
    (gate,) = (ROOT / step["run"] for step in job["steps"] if "run" in step)
    assert gate.is_file() and gate.stat().st_mode & 0o100


@pytest.mark.parametrize("hook", yaml(".pre-commit-config.yaml")["repos"][0]["hooks"], ids=lambda hook: hook["id"])
def test_a_hook_does_what_make_check_does(hook: dict[str, Any]) -> None:
    tool = hook["entry"].replace(".venv/bin", "$(BIN)").replace(" --fix", "")
    assert re.search(rf"^\t{re.escape(tool)}\b", (ROOT / "Makefile").read_text(), re.MULTILINE)
