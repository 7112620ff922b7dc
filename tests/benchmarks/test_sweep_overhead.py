"""The scripts that time whole commands run and write what they promise; nothing here is timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import plan, sweep_overhead


@pytest.mark.slow
def test_a_sweep_of_tiny_trials_is_measured_run_again_and_run_with_a_limit(tmp_path: Path) -> None:
    sweep_overhead.main(["--trials", "4", "--executors", "in-process", "--at-once", "1", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "sweep_overhead.json").read_text())["rows"]
    expected = ["4 trials, in-process", "4 trials, in-process, finished before", "4 trials, ray, 1 at once", "fsl --help"]
    assert [row["what"] for row in rows] == expected
    assert rows[0]["a trial"] > 0 and rows[0]["processor"] > 0
    page = (tmp_path / "sweep_overhead.md").read_text()
    assert all(f"| {what} |" in page for what in expected)


def test_the_planning_of_a_large_grid_is_timed_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    plan.main(100)
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("read", "plan", "records", "kinds", "forecast"))
    assert "100 cells, 100 trials" in shown
