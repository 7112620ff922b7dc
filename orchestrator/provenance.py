"""Where results come from: the code, the libraries, the machine."""

from __future__ import annotations

import datetime
import functools
import hashlib
import platform
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from orchestrator.code_digest import code_digest

_PROJECT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("torch", "torchvision", "numpy", "ray", "mlflow", "few-shot-sweeps")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The code that runs: its commit and whether the working tree differed (None outside a git checkout), its lock's SHA-256.

    ``lock_digest`` is None where there is no lock, or a library is installed in another version than the lock's.
    ``code_digest`` names the content of the two packages; see :func:`orchestrator.code_digest.code_digest`.
    """

    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    code_digest: str


def code_state(project: Path = _PROJECT) -> CodeState:
    """The state of this project's own checkout; a project that lies inside somebody else's checkout has none."""
    top = _git(project, "rev-parse", "--show-toplevel")
    own = top is not None and Path(top).resolve() == project.resolve()
    commit = _git(project, "rev-parse", "HEAD") if own else None
    changes = _git(project, "status", "--porcelain", "--", "fsl_core", "orchestrator", "sweeps", "pyproject.toml")
    return CodeState(
        git_commit=commit,
        git_dirty=None if commit is None or changes is None else bool(changes),
        lock_digest=_lock_digest(project / "requirements.lock"),
        code_digest=code_digest((project / "fsl_core", project / "orchestrator")),
    )


@functools.cache
def running_code() -> CodeState:
    """The state of the code that this process runs, as it was at the first call: what is imported does not change with the files."""
    return code_state()


def _lock_digest(lock: Path) -> str | None:
    if not lock.is_file():
        return None
    content = lock.read_bytes()
    return hashlib.sha256(content).hexdigest() if is_installed(content.decode()) else None


def is_installed(lock: str) -> bool:
    """Whether each library of a lock that is installed here has a version of the lock's; those of other systems are not installed."""
    pinned: dict[str, set[str | None]] = {}
    for name, version in _PINNED.findall(lock):
        pinned.setdefault(name, {None}).add(version)  # several where they depend on the system or on Python
    return all(_version(name) in versions for name, versions in pinned.items())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def library_versions() -> Mapping[str, str]:
    """The versions of Python and of the libraries that matter to a result; one that is not installed is left out."""
    versions = {"python": platform.python_version()}
    return versions | {name: version for name in _LIBRARIES if (version := _version(name)) is not None}


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
