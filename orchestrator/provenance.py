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

from orchestrator.environment import for_git

_PROJECT = Path(__file__).resolve().parent.parent
_LIBRARIES = ("torch", "torchvision", "numpy", "ray", "mlflow", "few-shot-sweeps")


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The code that runs: its commit and whether the working tree differed (None outside a git checkout), its lock's SHA-256.

    ``git_problem`` says why git could not tell, where the project is a checkout.
    """

    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    git_problem: str | None = None


def code_state(project: Path = _PROJECT) -> CodeState:
    """The state of this project's own checkout; a project that lies inside somebody else's checkout has none."""
    lock = project / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
    if not (project / ".git").exists():
        return CodeState(git_commit=None, git_dirty=None, lock_digest=digest)
    try:
        commit = _git(project, "rev-parse", "--verify", "HEAD")
        changes = _git(project, "status", "--porcelain", "--", "fsl_core", "orchestrator", "sweeps", "pyproject.toml")
    except _NoAnswer as error:
        return CodeState(git_commit=None, git_dirty=None, lock_digest=digest, git_problem=str(error))
    return CodeState(git_commit=commit, git_dirty=bool(changes), lock_digest=digest)


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
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def host_name() -> str:
    """This machine's name."""
    return socket.gethostname()


def now() -> str:
    """The time, ISO in UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class _NoAnswer(Exception):
    """Git did not say what it was asked; the message says why."""


def _git(project: Path, *arguments: str) -> str:
    """What git answers of a project and of no folder above it. The project stays as it is."""
    command = ["git", "--no-optional-locks", "-C", str(project), *arguments]
    environment = {**for_git(), "GIT_CEILING_DIRECTORIES": str(project.resolve().parent)}
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, stdin=subprocess.DEVNULL, env=environment)
    except subprocess.TimeoutExpired as error:
        raise _NoAnswer("git did not answer within 20 s") from error
    except OSError as error:
        raise _NoAnswer(f"git does not run here ({error.strerror})") from error
    if done.returncode:
        first = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise _NoAnswer(f"git says: {first}")
    return done.stdout.decode(errors="replace").strip()
