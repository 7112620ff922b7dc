"""The peers' libraries, in their own folder outside the project's environment."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent / ".peers"


def find_peers() -> None:
    """Make the peers installed by ``make bench`` importable, after everything else."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def peer_module(name: str) -> ModuleType:
    """Import the module ``benchmarks.<name>`` and with it the peer that it uses, whose source text may be older than Python's rules."""
    find_peers()
    with warnings.catch_warnings():
        for category in (DeprecationWarning, SyntaxWarning):
            warnings.simplefilter("ignore", category)
        return importlib.import_module(f"benchmarks.{name}")


def is_installed(package: str) -> bool:
    """Return whether a peer can be imported here."""
    find_peers()
    return importlib.util.find_spec(package) is not None
