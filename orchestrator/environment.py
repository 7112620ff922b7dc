"""What a command inherits from the process that starts it, and what becomes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from orchestrator.cgroup import cpu_limit

_BATCH_SYSTEM = "SLURM_CPUS_ON_NODE"
_SETTINGS_OF_GIT = {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"}


def for_git(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which git answers of the folder that it is asked about, in English, whoever started this process.

    A hook's GIT_DIR or GIT_INDEX_FILE would have it answer of another repository. Which of the user's files of settings count is
    kept: ``safe.directory`` stands there.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_") or name in _SETTINGS_OF_GIT}
    return {**kept, "LC_ALL": "C"}


def usable_cpus(environ: Mapping[str, str] = os.environ) -> int:
    """How many CPUs this process may keep busy, at least 1: by its affinity, its control groups and its batch system.

    A part of a CPU counts as none: trials that share one wait for each other.
    """
    bounds = [_affine_cpus()]
    limit = cpu_limit()
    if limit is not None:
        bounds.append(int(limit))
    if environ.get(_BATCH_SYSTEM, "").isdecimal():
        bounds.append(int(environ[_BATCH_SYSTEM]))
    return max(1, min(bounds))


def _affine_cpus() -> int:
    """The CPUs that the scheduler may put this process on; all of the machine's where the system has no such notion."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
