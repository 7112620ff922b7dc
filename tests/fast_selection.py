"""Which test files are fast: derived from what they import, so that no list of files is kept.

A file is left out whose tests start processes or use a library that takes seconds, be it through a helper of the tests.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAKES_SECONDS = (
    "matplotlib",
    "mlflow",
    "multiprocessing",
    "playwright",
    "ray",
    "scipy",
    "subprocess",
    "torch",
    "torchvision",
    "orchestrator.execution.in_process",
    "orchestrator.execution.worker",
    "orchestrator.report.canvas",
    "orchestrator.report.report_folder",
)
"""Modules that start processes, train, draw or serve; those of a package count with it."""


def is_fast(path: Path) -> bool:
    """Whether a test file imports nothing that takes seconds."""
    return what_takes_seconds(path) is None


@cache
def what_takes_seconds(path: Path) -> str | None:
    """The first module that a test file imports, itself or through a helper of the tests, and that takes seconds; None without one."""
    names = sorted(_imported(path))
    heavy = next((name for name in names if _is_within(name, TAKES_SECONDS)), None)
    helpers = (ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("tests."))
    found = (what_takes_seconds(helper) for helper in helpers if helper.is_file())
    return heavy or next(filter(None, found), None)


def _is_within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
