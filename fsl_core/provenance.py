"""The provenance of results: the code, the libraries, the machine."""

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
_LIBRARIES = ("torch", "torchvision", "numpy", "numba", "ray", "mlflow", "few-shot-sweeps")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The running code: its commit, whether the working tree differed (None outside a git checkout), the SHA-256 of its lock file.

    ``lock_digest`` is None if there is no lock file, or a library is installed in a version other than the locked one.
    ``code_digest`` identifies the content of the two packages; see :func:`fsl_core.code_digest.code_digest`.
    ``git_problem`` says why git failed in a checkout.
    """

    git_commit: str | None
    git_dirty: bool | None
    lock_digest: str | None
    code_digest: str
    git_problem: str | None = None


def code_state(project: Path = _PROJECT) -> CodeState:
    """The state of this project's own checkout; a project inside another checkout has none."""
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
    """The state of the code that this process runs, as of the first call: imported code does not change with the files."""
    return code_state()


def _lock_digest(lock: Path) -> str | None:
    if not lock.is_file():
        return None
    content = lock.read_bytes()
    return hashlib.sha256(content).hexdigest() if is_installed(content.decode()) else None


def is_installed(lock: str) -> bool:
    """Return whether every installed library of a lock file has a locked version; libraries of other systems are not installed."""
    pinned: dict[str, set[str | None]] = {}
    for name, version in _PINNED.findall(lock):
        pinned.setdefault(name, {None}).add(version)  # several if they depend on the system or on Python
    return all(_version(name) in versions for name, versions in pinned.items())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def library_versions() -> Mapping[str, str]:
    """The versions of Python and of the libraries that affect a result; libraries not installed are omitted.

    They are read once per process: imported code does not change with the files.
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
    """The environment in which git reports on the requested folder, in English, even inside a git hook.

    A hook's ``GIT_DIR`` would select another repository; the user's git configuration, such as safe.directory, applies.
    """
    return {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _USED_OF_GIT} | {
        "LC_ALL": "C"
    }


class _NoAnswer(Exception):
    """Git gave no answer; the message says why."""


def _git(project: Path, *arguments: str) -> str:
    """Git's answer about a project, never about a folder above it. The project is not changed."""
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
