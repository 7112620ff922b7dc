"""`make test-fast` runs the files that start no process and load nothing that takes seconds."""

from pathlib import Path

import pytest

from tests.fast_selection import ROOT, is_fast, what_takes_seconds


@pytest.mark.parametrize("source", ["import torch", "def f():\n    from ray import tune", "import subprocess, json"])
def test_a_file_that_takes_seconds_is_left_out(tmp_path: Path, source: str) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(source)
    assert not is_fast(file)


def test_what_a_helper_imports_counts(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("from tests.orchestrator.small_sweep import launch")
    assert what_takes_seconds(file) == "orchestrator.execution.in_process"


def test_files_of_every_room_are_fast_and_those_that_train_or_start_ray_are_not() -> None:
    fast = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests").rglob("test_*.py") if is_fast(path)}
    assert fast > {"orchestrator/records/test_store.py", "orchestrator/report/test_verdict.py", "fsl_core/test_recipe.py"}
    assert not fast & {"orchestrator/execution/test_ray_tune.py", "fsl_core/test_learning.py", "test_wheel.py"}
