"""Execution paths as JSON documents: a trial's ``path.json``, and the choice shared by trials of one kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import ExecutionPathError, RecipeError
from fsl_core.training.execution_path import ExecutionPath

PATH_FILE = "path.json"
_TOGETHER = ("seeds_together", "place")
"""Absent from the path of a trial that trains alone: every path was such a path before seeds could train together."""
_COMPILED = ("compiled",)
"""Absent where it is false, as it was from every path before a step could be compiled."""
_FIELDS = tuple(item.name for item in fields(ExecutionPath) if item.name not in _TOGETHER + _COMPILED)


def path_as_plain(path: ExecutionPath) -> dict[str, Any]:
    """The path as JSON types."""
    plain = asdict(path)
    more = (_COMPILED if path.compiled else ()) + (_TOGETHER if path.seeds_together > 1 else ())
    return {name: plain[name] for name in _FIELDS + more}


def path_as_document(path: ExecutionPath, **more: Any) -> bytes:
    """The bytes of a document with a path and further entries."""
    return (json.dumps({"path": path_as_plain(path), **more}, indent=1) + "\n").encode()


def path_from_plain(plain: Any) -> ExecutionPath:
    """Read the path of a document.

    Raises:
        RecipeError: the document is not a path.
        ExecutionPathError: it has fields beyond those of a path: a later version wrote it.
    """
    if not isinstance(plain, Mapping):
        raise RecipeError(f"not an execution path: {plain!r}")
    parts = _FIELDS
    for more in (_COMPILED, _TOGETHER):
        parts += more if plain.keys() & set(more) else ()
    if missing := [name for name in parts if name not in plain]:
        raise RecipeError(f"not an execution path: it has no {', '.join(missing)}")
    if unknown := sorted(map(str, plain.keys() - set(parts))):
        raise ExecutionPathError(f"the execution path has {', '.join(unknown)}, unknown to this version: a later one wrote it")
    path = ExecutionPath(**plain)
    path.check_sound()
    return path


def read_path(file: Path) -> ExecutionPath | None:
    """Read the path in a file; None if the file is absent or unreadable as a path.

    Raises:
        ExecutionPathError: a later version wrote the path.
    """
    try:
        return path_from_plain(json.loads(file.read_bytes())["path"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_path(folder: Path, path: ExecutionPath) -> None:
    """Pin a trial's path in its folder."""
    write_atomically(folder / PATH_FILE, path_as_document(path))
