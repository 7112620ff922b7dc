"""Where the peers' libraries lie: a folder of their own, so that the project's environment has none of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / ".peers"


def find_peers() -> None:
    """Let this process import the peers that ``make bench`` installed, after everything else."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def is_installed(package: str) -> bool:
    """Whether a peer can be imported here."""
    find_peers()
    return importlib.util.find_spec(package) is not None
