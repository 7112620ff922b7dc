"""The origin of a figure: processor, memory, versions, commit, and the load of the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.installed_peers import find_peers

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("torch", "numba", "easyfsl", "higher", "torchopt")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and when a figure was measured. ``load`` is that of the last minute, including other work.

    ``commit`` ends in ``+`` if tracked files have changed since.
    """

    processor: str
    cores: int
    memory_gb: float
    system: str
    libc: str
    python: str
    versions: dict[str, str]
    commit: str
    day: str
    load: float


def this_machine() -> Machine:
    """This machine, now."""
    find_peers()
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        libc=" ".join(platform.libc_ver()),
        python=platform.python_version(),
        versions={name: _version(name) for name in _PACKAGES},
        commit=_commit(),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        load=round(os.getloadavg()[0], 1),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        facts.setdefault(name.strip(), value.strip())
    kind = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return f"{facts.get('model name', platform.processor())} ({kind})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    try:
        name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "fsl_core", "benchmarks/*.py"], cwd=_ROOT, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.strip() + ("+" if changed.returncode else "")
