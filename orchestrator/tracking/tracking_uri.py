"""Where a runs folder keeps its tracking store, and the files that the store shows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.shown_sweep import OWN_STORE


def default_address(runs_root: Path) -> TrackingAddress:
    """The store used when nobody names one: an SQLite file in the runs folder, whatever the current folder is."""
    return sqlite_address(runs_root.resolve() / "mlflow.db")


def sqlite_address(file: Path) -> TrackingAddress:
    """The store in an SQLite file, which is given by its absolute path."""
    path = str(file)
    if quote(path) != path:
        path = quote(path, safe="")  # without slashes too: MLflow makes the folders of an address as it is written
    return TrackingAddress(f"sqlite:///{path}")


def store_key(address: TrackingAddress, runs_root: Path) -> str:
    """Tells the stores apart that a runs folder's launches have named: :data:`OWN_STORE`, or the SHA-256 of any other's address.

    It is of the address as it may be shown: nobody can find a password by it, and one that changes leaves the store the same.
    """
    file, own = address.sqlite_file, default_address(runs_root).sqlite_file
    if file is not None and own is not None and file.resolve() == own.resolve():
        return OWN_STORE
    return hashlib.sha256(str(address.absolute()).rstrip("/").encode()).hexdigest()


def artifact_root(runs_root: Path) -> Path:
    """The folder of the artifacts of a store that is opened directly."""
    return runs_root.resolve() / "mlartifacts"
