"""Where a runs folder keeps its tracking store, and the files that the store shows."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from orchestrator.tracking.address import TrackingAddress


def default_address(runs_root: Path) -> TrackingAddress:
    """The store used when nobody names one: an SQLite file in the runs folder, whatever the current folder is."""
    return sqlite_address(runs_root.resolve() / "mlflow.db")


def sqlite_address(file: Path) -> TrackingAddress:
    """The store in an SQLite file, which is given by its absolute path."""
    path = str(file)
    if quote(path) != path:
        path = quote(path, safe="")  # without slashes too: MLflow makes the folders of an address as it is written
    return TrackingAddress(f"sqlite:///{path}")


def artifact_root(runs_root: Path) -> Path:
    """The folder of the artifacts of a store that is opened directly."""
    return runs_root.resolve() / "mlartifacts"
