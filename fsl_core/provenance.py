"""Where results come from: the code, the libraries, the machine."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import os
import platform
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

from fsl_core.code_digest import code_digest

_PROJECT = Path(__file__).resolve().parent.parent
_USED_OF_GIT = ("GIT_CONFIG_GLOBAL",)
_LIBRARIES = ("torch", "torchvision", "numpy", "ray", "mlflow", "few-shot-sweeps")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The code that runs: its commit and whether the working tree differed (None outside a git checkout), its lock's SHA-256.

    ``lock_digest`` is None where there is no lock, or a library is installed in another version than the lock's.
    ``code_digest`` names the content of the two packages; see :func:`fsl_core.code_digest.code_digest`.
    ``git_problem`` says why git could not tell, where the project is a checkout.
    """

    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    code_digest: str
    git_problem: str | None = None


def code_state(project: Path = _PROJECT) -> CodeState:
    """The state of this project's own checkout; a project that lies inside somebody else's checkout has none."""
    lock, code = _lock_digest(project / "requirements.lock"), code_digest((project / "fsl_core", project / "orchestrator"))
    bare = CodeState(git_commit=None, git_dirty=None, lock_digest=lock, code_digest=code)
    if not (project / ".git").exists():
        return bare
    try:
        commit = _git(project, "rev-parse", "--verify", "HEAD")
        changes = _git(project, "status", "--porcelain", "--", "fsl_core", "orchestrator", "sweeps", "pyproject.toml")
    except _NoAnswer as error:
        return dataclasses.replace(bare, git_problem=str(error))
    return dataclasses.replace(bare, git_commit=commit, git_dirty=bool(changes))


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


@functools.cache
def library_versions() -> Mapping[str, str]:
    """The versions of Python and of the libraries that matter to a result; one that is not installed is left out.

    They are read once in a process, whose imports do not change with the files.
    """
    versions = {"python": platform.python_version()}
    found = {name: version for name in _LIBRARIES if (version := _version(name)) is not None}
    return MappingProxyType(versions | found)


def host_name() -> str:
    """This machine's name."""
    return socket.gethostname()


def now() -> str:
    """The time, ISO in UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def for_git(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which git answers of the folder that it is asked about, in English, whoever started this process.

    A hook's ``GIT_DIR`` would name a stranger's commit; the user's own settings of git, such as safe.directory, count.
    """
    return {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _USED_OF_GIT} | {
        "LC_ALL": "C"
    }


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
