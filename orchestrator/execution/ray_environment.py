"""Builds the environment of the process that runs Ray: inherited variables without harmful ones, and Ray's settings."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

QUIET: Mapping[str, str] = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # its state is discarded: each launch asks the records what is missing
    "TUNE_RESULT_BUFFER_LENGTH": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
}
"""Turns off Ray's usage reports, loggers and signal handlers, in workers too."""

# Keep the memory of freed activations: glibc reads these when a worker starts, and they apply to the trial's thread too.
WORKER: Mapping[str, str] = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "1",
}
"""The variables of workers, in addition to :data:`QUIET`."""

INHERITED_BY_LOCAL_RAY = frozenset(
    {"RAY_memory_usage_threshold", "RAY_memory_monitor_refresh_ms", "RAY_raylet_start_wait_time_s", "RAY_worker_niceness"}
)
"""The settings that a local Ray takes from the user: its memory threshold and its check interval, how long a start may take, and how far
other programs come first."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # its name is historical: at 0 every server of Ray binds to 127.0.0.1
_ABSOLUTE = ("PYTHONPATH",)


def local_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a Ray that one launch starts and ends: reachable only from this machine, with its own token.

    It inherits no other setting of Ray, such as another cluster's address or token, or ``RAY_AUTH_MODE=disabled``.
    """
    kept = {name: value for name, value in inherited.items() if not _is_rays(name) or name in INHERITED_BY_LOCAL_RAY}
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {**_with_absolute_paths(kept), **QUIET, **_LOOPBACK, **secret}


def cluster_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that joins a running cluster: Ray's inherited settings, including the cluster's token."""
    return {**_with_absolute_paths(inherited), **QUIET}


def _is_rays(name: str) -> bool:
    return name.startswith(("RAY_", "TUNE_"))


def _with_absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """Makes paths absolute, because the other process starts in another folder."""
    absolute = {
        name: os.pathsep.join(str(Path(part).absolute()) for part in environment[name].split(os.pathsep) if part)
        for name in _ABSOLUTE
        if environment.get(name)
    }
    return {**environment, **absolute}
