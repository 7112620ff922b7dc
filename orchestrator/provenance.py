"""Where results come from: the code, the libraries, the machine."""

from __future__ import annotations

import datetime
import hashlib
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PROJECT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("torch", "torchvision", "numpy", "ray", "mlflow", "few-shot-sweeps")


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The code that runs: its commit and whether the working tree differed (None outside a git checkout), its lock's SHA-256."""

    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None


def code_state(project: Path = _PROJECT) -> CodeState:
    """The state of this project's own checkout; a project that lies inside somebody else's checkout has none."""
    top = _git(project, "rev-parse", "--show-toplevel")
    own = top is not None and Path(top).resolve() == project.resolve()
    commit = _git(project, "rev-parse", "HEAD") if own else None
    changes = _git(project, "status", "--porcelain", "--", "fsl_core", "orchestrator", "sweeps", "pyproject.toml")
    lock = project / "requirements.lock"
    return CodeState(
        git_commit=commit,
        git_dirty=None if commit is None or changes is None else bool(changes),
        lock_digest=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    )


def library_versions() -> Mapping[str, str]:
    """The versions of Python and of the libraries that matter to a result; one that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def processor_name() -> str:
    """What this machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def host_name() -> str:
    """This machine's name."""
    return socket.gethostname()


def now() -> str:
    """The time, ISO in UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
