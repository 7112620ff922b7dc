"""Plug-ins are found by their entry points: their settings are keys of sweep files like any other, and what is wrong with one is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.orchestrator.small_sweep import SMALL

MODULE = '''
from dataclasses import dataclass, field
from typing import ClassVar

from fsl_core.recipe.algorithm_settings import AlgorithmSettings, PrototypicalSettings
from fsl_core.recipe.setting import setting


@dataclass(frozen=True, kw_only=True)
class WarmSettings(PrototypicalSettings):
    """Prototypical Networks with a temperature."""

    name: ClassVar[str] = "warm"
    title: ClassVar[str] = "Warm prototypes"
    warmth: float = field(default=2.0, metadata=setting("divides the logits", form="always"))


@dataclass(frozen=True, kw_only=True)
class HalfSettings(AlgorithmSettings):
    """Settings that nothing can be built from."""

    name: ClassVar[str] = "half"
    title: ClassVar[str] = "Half an algorithm"


NOT_SETTINGS = object()
'''
OUTSIDE = """
import sys
from pathlib import Path

from orchestrator.execution.catalogue import ExecutorKind
from orchestrator.execution.in_process import InProcessExecutor
from orchestrator.tracking.catalogue import TrackerKind
from orchestrator.tracking.tracker import NullTracker


class Noting(NullTracker):
    def sync_trial(self, trial, record, paths):
        Path("noted.txt").write_text(f"{trial.name} {record.result.status}")

    def lacks(self, shown):
        return True

    def open_place(self, shown):
        pass

    def confirm(self, shown):
        Path("confirmed.txt").write_text(shown.name)


class Counting(InProcessExecutor):
    def run(self, jobs, **how):
        print(f"{len(jobs)} jobs", file=sys.stderr)
        super().run(jobs, **how)


TRACKER = TrackerKind(name="notes", open=lambda place: Noting(), store=lambda place: "notes")
EXECUTOR = ExecutorKind(name="counting", build=lambda request: Counting(), one_at_a_time=True)
"""
SWEEP = """
name: warm
title: A plug-in beside what it is compared with
seeds: [0]
fixed: {dataset: glyphs, split: glyphs, way: 5, shot: 1}
grid: {algorithm: [prototypical, warm], warmth: {values: [0.5, 1], when: {algorithm: warm}}}
"""
COMPARISON = """
import numpy as np

from orchestrator.errors import ComparisonError
from orchestrator.report.comparison_pairs import choose_pairs
from orchestrator.report.comparison_row import ComparedRow


def table(warmth):
    settings = {"algorithm": "warm", "warmth": warmth}
    scores = {0: np.arange(9.0)}
    return [ComparedRow(table=f"{warmth}", number=1, cell="c-1", name="", settings=settings, by_seed=scores, questions=None, trials=())]


try:
    print(choose_pairs([table(0.5), table(1.0)]).pairs)
except ComparisonError as error:
    print(error)
"""
CALL = "import sys; from orchestrator.cli.main import main; main(sys.argv[1:])"


def install(folder: Path, points: str, module: str, *, others: str = "") -> Path:
    """A distribution with these entry points, as an installer leaves it; returns the folder to import from."""
    site = folder / "site"
    (site / "my_plugin-1.0.dist-info").mkdir(parents=True)
    (site / "my_plugin.py").write_text(module)
    (site / "my_plugin-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    (site / "my_plugin-1.0.dist-info" / "entry_points.txt").write_text(f"[fsl.algorithms]\n{points}\n{others}")
    return site


def plan(folder: Path, *, points: str = "warm = my_plugin:WarmSettings", sweep: str = SWEEP) -> subprocess.CompletedProcess[str]:
    """``fsl plan`` where a distribution with these entry points is installed."""
    site = install(folder, points, MODULE)
    (folder / "warm.yaml").write_text(sweep)
    command = [sys.executable, "-c", CALL, "plan", "warm.yaml", "--json", "--no-probe", "--device", "cpu"]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_settings_of_a_plug_in_are_keys_of_sweep_files(tmp_path: Path) -> None:
    done = plan(tmp_path)
    assert done.returncode == 0, done.stderr
    names = [cell["name"] for cell in json.loads(done.stdout)["cells"]]
    assert [name.partition(" · ")[0] for name in names] == [
        "prototypical",
        "warm warmth 0.5",
        "warm warmth 1",
    ]


def test_rows_of_two_forms_of_a_plug_in_are_no_same_cell(tmp_path: Path) -> None:
    site = install(tmp_path, "warm = my_plugin:WarmSettings", MODULE)
    done = subprocess.run(
        [sys.executable, "-c", COMPARISON],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("0.5 and 1.0: the two share no cell"), done.stdout + done.stderr


def test_a_key_of_a_plug_in_is_refused_of_others(tmp_path: Path) -> None:
    done = plan(
        tmp_path,
        sweep=SWEEP.replace(
            "[prototypical, warm], warmth: {values: [0.5, 1], when: {algorithm: warm}}", "[matching], warmth: [1]"
        ),
    )
    assert done.returncode == 2
    assert "algorithm 'matching' has none, only warm" in done.stderr


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ("warm = nowhere:WarmSettings", "cannot be loaded (ModuleNotFoundError"),
        ("warm = my_plugin:NOT_SETTINGS", "it must be a dataclass that derives from"),
        ("half = my_plugin:HalfSettings", "it has no build"),
        ("hot = my_plugin:WarmSettings", "it calls itself 'warm'"),
        ("maml = my_plugin:WarmSettings", "the name is already taken"),
    ],
)
def test_an_unusable_plug_in_is_reported_by_name(tmp_path: Path, points: str, problem: str) -> None:
    done = plan(tmp_path, points=points)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: plug-in ") and problem in done.stderr
    assert "Traceback" not in done.stderr


def test_the_code_of_a_plug_in_is_part_of_the_recorded_code(tmp_path: Path) -> None:
    """A worker with another version of it is refused like one with another version of this project."""
    digests = []
    for folder, module in (("first", MODULE), ("same", MODULE), ("changed", MODULE.replace("2.0", "3.0"))):
        site = install(tmp_path / folder, "warm = my_plugin:WarmSettings", module)
        code = "from fsl_core.code_digest import code_digest, step_code_digest; print(code_digest(), step_code_digest())"
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.append(done.stdout.split())
    first, same, changed = digests
    assert first == same and len(set(first) | set(changed)) == 4, "both digests cover the plug-in"


def test_a_plug_in_runs_and_shows_the_trials(tmp_path: Path) -> None:
    others = "[fsl.trackers]\nnotes = outside:TRACKER\n[fsl.executors]\ncounting = outside:EXECUTOR\n"
    site = install(tmp_path, "", MODULE, others=others)
    (site / "outside.py").write_text(OUTSIDE)
    (tmp_path / "small.yaml").write_text(SMALL)
    options = ("--executor", "counting", "--tracker", "notes", "--no-probe", "-y", "--only", "way=5", "--seeds", "0")
    done = subprocess.run(
        [sys.executable, "-c", CALL, "run", "small.yaml", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 jobs" in done.stderr
    assert (tmp_path / "noted.txt").read_text().endswith("complete")
    assert (tmp_path / "confirmed.txt").exists()
    assert not (tmp_path / "runs" / "mlflow.db").exists()


def test_a_plug_in_of_a_namespace_package_counts_too(tmp_path: Path) -> None:
    digests = []
    for folder, module in (("first", MODULE), ("changed", MODULE.replace("2.0", "3.0"))):
        site = install(tmp_path / folder, "warm = company.warm:WarmSettings", MODULE)
        (site / "company").mkdir()
        (site / "company" / "warm.py").write_text(module)
        code = "from fsl_core.code_digest import code_digest; print(code_digest())"
        environment = {**os.environ, "PYTHONPATH": str(site)}
        digests.append(
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        )
    assert digests[0] != digests[1]
