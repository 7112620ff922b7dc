"""The addresses of tracking stores, and a runs folder's own store and artifacts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.shown_sweep import OWN_STORE


def default_address(runs_root: Path) -> TrackingAddress:
    """The default store: an SQLite file in the runs folder, whatever the current folder is."""
    return sqlite_address(runs_root.resolve() / "mlflow.db")


def sqlite_address(file: Path) -> TrackingAddress:
    """The address of the store in an SQLite file with an absolute path."""
    path = str(file)
    if quote(path) != path:
        path = quote(path, safe="")  # slashes too: MLflow creates an address's folders as they are written, without decoding
    return TrackingAddress(f"sqlite:///{path}")


def store_key(address: TrackingAddress, runs_root: Path) -> str:
    """The key of a store: :data:`OWN_STORE` for a runs folder's own, else the SHA-256 of the address without its secrets.

    So the key reveals no password, and a changed password leaves the store the same.
    """
    file, own = address.sqlite_file, default_address(runs_root).sqlite_file
    if file is not None and own is not None and file.resolve() == own.resolve():
        return OWN_STORE
    return hashlib.sha256(str(address.absolute()).rstrip("/").encode()).hexdigest()


def artifact_root(runs_root: Path) -> Path:
    """The folder of artifacts for a store that is opened directly."""
    return runs_root.resolve() / "mlartifacts"
