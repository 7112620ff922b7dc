"""The peers' libraries, in their own folder outside the project's environment."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"


def find_peers() -> None:
    """Make the peers installed by ``make bench`` importable, after everything else."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def is_installed(package: str) -> bool:
    """Return whether a peer can be imported here."""
    find_peers()
    return importlib.util.find_spec(package) is not None
