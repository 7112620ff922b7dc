"""The wheel, built from a copy of the sources with what this environment has, so that nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_SOURCES = ("fsl_core", "orchestrator", "sweeps")
_METADATA = ("pyproject.toml", "README.md", "LICENSE")


def uv() -> str:
    """The uv at hand: the machine's, else the one in this environment."""
    for candidate in ("uv", str(Path(sys.executable).parent / "uv")):
        if shutil.which(candidate) and subprocess.run([candidate, "--version"], capture_output=True).returncode == 0:
            return candidate
    pytest.skip("uv is neither on PATH nor in this environment")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, without what this environment adds to Python's path; the answer is its output."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build the wheel in a folder."""
    source = folder / "source"
    source.mkdir()
    for name in _SOURCES:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _METADATA:
        shutil.copy(ROOT / name, source)
    run(uv(), "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "-o", folder / "dist", cwd=source)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def empty_environment(folder: Path) -> Path:
    """Make an environment without any library, and return its folder of commands."""
    run(uv(), "venv", "--python", sys.executable, folder, cwd=folder.parent)
    return folder / "bin"
