"""Commands and workers import what they need and no more: the libraries below take a second or more each, in every process anew."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.execution.gpu_driver import gpu_driver_is_here
from tests.orchestrator.small_sweep import SMALL

ROOT = Path(__file__).parents[1]
COMPILER = "sympy"
"""The compiler of torch, by a library that it alone imports."""
HEAVY = {COMPILER, "torch", "torchvision", "scipy", "pandas", "pyarrow", "matplotlib", "numba", "ray", "mlflow", "sqlalchemy"}
LIGHTER = {"click", "numpy", "PIL", "pydantic", "ruamel", "rich", "filelock", "psutil"}

REPORT = """import atexit, sys
atexit.register(lambda: print("loaded", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr))
"""
STEP = """import sys, torch
from pathlib import Path
from fsl_core.training.path_timing import step_along
from fsl_core.training.execution_path import ExecutionPath
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
recipe = build_plan(load_sweep(Path(sys.argv[1]))).trials[0].recipe
step_along(recipe, ExecutionPath(), (1, 28, 28), torch.device("cpu"))()
"""
CALL = "from orchestrator.cli.main import main; main(sys.argv[1:])"


def loaded_by(code: str, *arguments: object) -> set[str]:
    """The libraries of the two lists that are imported by the end of a process of its own."""
    command = [sys.executable, "-c", REPORT + code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split()) & (HEAVY | LIGHTER)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_what_is_imported_is_seen():
    assert loaded_by("import scipy.special, filelock") >= {"scipy", "numpy", "filelock"}


def test_a_launch_imports_torch_only_where_it_trains():
    """A finished sweep, run again on a CPU, needs none."""
    assert "torch" not in loaded_by("import orchestrator.launch.launching")


def test_help_needs_click_alone():
    assert loaded_by(CALL, "--help") == {"click"}


@pytest.mark.parametrize("command", ["plan", "status", "gc"])
def test_what_only_looks_needs_no_heavy_one(sweep: Path, command: str):
    flags = ["--no-probe", "--device", "cpu" if gpu_driver_is_here() else "auto"] if command == "plan" else []
    assert loaded_by(CALL, command, sweep, "--runs-root", sweep.parent / "runs", *flags) & HEAVY == set()


def test_the_library_imports_nothing_before_a_call():
    assert loaded_by("import orchestrator as fsl; dir(fsl)") == set()


def test_calls_that_only_look_need_no_heavy_one_and_no_click(sweep: Path):
    look = "import sys, orchestrator as fsl; sweep = fsl.load(sys.argv[1], runs_root=sys.argv[2]); fsl.status(sweep); "
    plan = "fsl.plan(sweep, probe=False, device='cpu')"
    assert loaded_by(look + plan, sweep, sweep.parent / "runs") & (HEAVY | {"click"}) == set()


def test_a_worker_imports_torch_and_no_other_heavy_one():
    assert loaded_by("import orchestrator.execution.worker") & HEAVY == {"torch"}


def test_a_step_of_training_does_not_import_the_compiler_of_torch(sweep: Path):
    assert loaded_by("import torch._dynamo") >= {COMPILER}
    assert loaded_by(STEP, sweep) & HEAVY == {"torch"}
