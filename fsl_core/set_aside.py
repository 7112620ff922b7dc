"""A damaged file, renamed out of the way and kept: nothing is ever deleted."""

from __future__ import annotations

from pathlib import Path


def set_aside(path: Path) -> Path | None:
    """Rename a file to ``<name>.corrupt-<n>``. Returns its new path, or None if there was no file. Raises OSError if renaming fails."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside
