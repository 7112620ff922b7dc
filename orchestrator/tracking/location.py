"""Where the tracking store is: its address, where its artifacts go, and how the address is shown to people."""

from __future__ import annotations

import re
from pathlib import Path

DATABASE_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")
"""Stores that the driver opens directly; it says itself where their artifacts go."""


def default_tracking_uri(runs_root: Path) -> str:
    """The store used when nobody names one: an SQLite file in the runs folder, whatever the current folder is."""
    return f"sqlite:///{runs_root.resolve() / 'mlflow.db'}"


def artifact_root(runs_root: Path) -> Path:
    """The folder of the artifacts of a store that is opened directly."""
    return runs_root.resolve() / "mlartifacts"


def is_server(uri: str) -> bool:
    """Whether the address is a tracking server's, which has a UI of its own and decides itself where artifacts go."""
    return uri.startswith(("http://", "https://"))


def is_database(uri: str) -> bool:
    """Whether the address is a database that the driver opens directly."""
    return uri.partition(":")[0].partition("+")[0] in DATABASE_SCHEMES


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for any other store."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def without_password(text: str) -> str:
    """The text with the password of every address in it struck out."""
    return re.sub(r"(://[^/\s:@]*):[^/\s@]*@", r"\1:***@", text)
