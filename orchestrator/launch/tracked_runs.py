"""The ids of the MLflow runs that show a sweep's trials, kept for later commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fsl_core.atomic_file import write_atomically
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.workspace import Workspace


def keep_run_ids(workspace: Workspace, run_ids: Mapping[str, str]) -> Mapping[str, str]:
    """Write down the MLflow runs of the sweep's trials, by fingerprint; returns all that are known."""
    known = {**read_run_ids(workspace), **run_ids}
    with suppress(OSError):  # a view's own ids, on a full disk: the next launch finds them again
        write_atomically(_file(workspace), json.dumps(known, sort_keys=True, indent=1).encode())
    return known


def read_run_ids(workspace: Workspace) -> dict[str, str]:
    """The MLflow runs of the sweep's trials, as the last launch knew them."""
    try:
        plain = json.loads(_file(workspace).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}  # a view's own ids: the next launch finds them again
    return {name: run for name, run in plain.items() if isinstance(run, str)} if isinstance(plain, dict) else {}


def _file(workspace: Workspace) -> Path:
    return sweep_folder(workspace.places.runs_root, workspace.plan) / "mlflow_runs.json"
