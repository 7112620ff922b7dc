"""Who may import what. Every import counts, wherever it stands: inside a function, under ``TYPE_CHECKING`` or by name."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CORE_MAY_IMPORT = {"fsl_core", "numba", "numpy", "PIL", "torch", "torchvision"}
ONLY_IN = {
    "numba": ("fsl_core/backbones/available_loops.py", "fsl_core/backbones/pixel_loops.py", "fsl_core/backbones/window_loops.py"),
    "ray": ("orchestrator/execution/ray_driver.py", "orchestrator/execution/ray_trial.py"),
    "mlflow": ("orchestrator/tracking/mlflow_",),
    "click": ("orchestrator/cli/",),
    "matplotlib": ("orchestrator/report/canvas.py",),
}
LAYERS = (
    {"errors", "counted"},
    {"process"},
    {"sweep"},
    {"records"},
    {"execution", "tracking", "report"},
    {"launch"},
    {"api"},
    {"cli", "testing"},
)
"""The rooms of the orchestrator: a room imports itself and those above it in this list. Rooms of one layer do not import each other."""
NOWHERE = ("matplotlib.pyplot", "pylab")  # they open the backend of the user's environment
IMPORTERS_BY_NAME = {"import_module", "__import__", "find_spec", "lazy_import", "resolve_name"}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """The line and the full name of every module that a source imports, by statement or by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node.func) in IMPORTERS_BY_NAME:
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            yield node.lineno, str(texts[0]) if texts else "<computed>"


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def violations(path: str, source: str) -> list[str]:
    """What a file of this path, relative to the repository, imports against the rules."""
    found = []
    for line, name in imported(source):
        top = name.partition(".")[0]
        if not top:
            found.append(f"{path}:{line} imports {name}: imports are absolute here, so that this test can read them")
        elif name == "<computed>":
            found.append(f"{path}:{line} imports a module by a computed name, which nobody can check")
        elif problem := against_layers(path, name):
            found.append(f"{path}:{line} imports {name}: {problem}")
        elif path.startswith("fsl_core/") and top not in CORE_MAY_IMPORT | sys.stdlib_module_names:
            found.append(f"{path}:{line} imports {name}: fsl_core may import {', '.join(sorted(CORE_MAY_IMPORT))} and the stdlib")
        elif name.startswith(NOWHERE):
            found.append(f"{path}:{line} imports {name}, which no file may")
        elif top in ONLY_IN and not path.startswith(ONLY_IN[top]):
            found.append(f"{path}:{line} imports {name}: only {', '.join(ONLY_IN[top])} may")
    return found


def against_layers(path: str, name: str) -> str | None:
    """Why a file of the orchestrator may not import a module of another of its rooms; None where it may, or neither is of a room."""
    here, there = (room(parts) for parts in (path.removesuffix(".py").split("/"), name.split(".")))
    if here is None or there is None or here == there:
        return None
    layer = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
    if here not in layer or there not in layer:
        return f"{here if here not in layer else there} is no room of the orchestrator"
    return (
        None
        if layer[there] < layer[here]
        else f"{here} may import {', '.join(sorted(set().union(*LAYERS[: layer[here]])))} alone"
    )


def room(parts: list[str]) -> str | None:
    """The room of a module, by the parts of its name; None outside the orchestrator and for the package itself."""
    return parts[1] if parts[0] == "orchestrator" and parts[1:] and parts[1] != "__init__" else None


SOURCES = [str(path.relative_to(ROOT)) for package in ("fsl_core", "orchestrator") for path in (ROOT / package).rglob("*.py")]


def test_both_packages_are_checked():
    assert "fsl_core/training/trial.py" in SOURCES
    assert "orchestrator/cli/main.py" in SOURCES


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_a_file_imports_only_what_it_may(path):
    assert violations(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("fsl_core/training/trial.py", "import ray"),
        ("fsl_core/training/trial.py", "import pandas as pd"),
        ("fsl_core/backbones/conv4.py", "from numba import njit"),
        ("fsl_core/training/trial.py", "from orchestrator.records.store import Store"),
        ("fsl_core/algorithms/prototypical.py", "def f():\n    import mlflow.pytorch"),
        ("fsl_core/training/trial.py", "import importlib\nimportlib.import_module('click')"),
        ("fsl_core/training/trial.py", "__import__(name)"),
        ("fsl_core/training/trial.py", "from ..orchestrator import store"),
        ("orchestrator/launch/driver.py", "def f():\n    from ray import tune"),
        ("orchestrator/execution/in_process.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray"),
        ("orchestrator/tracking/tracker.py", "try:\n    import mlflow\nexcept ImportError:\n    pass"),
        ("orchestrator/records/store.py", "import click"),
        ("orchestrator/report/cells_figure.py", "from matplotlib.figure import Figure"),
        ("orchestrator/report/canvas.py", "import matplotlib.pyplot as plt"),
        ("orchestrator/report/canvas.py", "from matplotlib import pyplot"),
        ("orchestrator/report/canvas.py", "def f():\n    import pylab"),
        ("orchestrator/sweep/loader.py", "from orchestrator.records.store import Store"),
        ("orchestrator/records/store.py", "def f():\n    from orchestrator.launch.driver import run_sweep"),
        ("orchestrator/execution/worker.py", "from orchestrator.report.drawing import draw_if_possible"),
        ("orchestrator/launch/driver.py", "from orchestrator.cli.options import load"),
        ("orchestrator/launch/driver.py", "from orchestrator.api.loading import load"),
        ("orchestrator/launch/driver.py", "from orchestrator.helpers import anything"),
    ],
)
def test_a_sabotaged_file_is_caught(path, source):
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "fsl_core/training/trial.py",
            "import torch.nn.functional as F\nimport json\nfrom torchvision.datasets.utils import check_integrity",
        ),
        ("orchestrator/execution/ray_driver.py", "import ray\nfrom ray import tune"),
        ("orchestrator/tracking/mlflow_tracker.py", "from mlflow.tracking import MlflowClient"),
        ("orchestrator/report/canvas.py", "import matplotlib as mpl\nfrom matplotlib.figure import Figure"),
        ("orchestrator/cli/run.py", "import click\nfrom orchestrator.launch.driver import run_sweep"),
        (
            "orchestrator/launch/driver.py",
            "from orchestrator.records.store import Store\nfrom orchestrator.errors import StoreError",
        ),
        ("orchestrator/launch/driver.py", "from fsl_core.recipe.recipe import TrainingRecipe\nimport raylib"),
    ],
)
def test_a_rightful_import_passes(path, source):
    assert violations(path, source) == []
