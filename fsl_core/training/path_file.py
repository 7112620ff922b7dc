"""An execution path as a JSON document: a trial's ``path.json``, and the choice that trials of one kind share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fsl_core.atomic_file import write_atomically
from fsl_core.errors import RecipeError
from fsl_core.training.execution_path import ExecutionPath

PATH_FILE = "path.json"


def path_as_document(path: ExecutionPath, **more: Any) -> bytes:
    """The bytes of a document that holds a path, and more beside it."""
    return (json.dumps({"path": asdict(path), **more}, indent=1) + "\n").encode()


def path_from_plain(plain: Any) -> ExecutionPath:
    """The path of a document. Raises RecipeError where it is none."""
    if not isinstance(plain, Mapping):
        raise RecipeError(f"not an execution path: {plain!r}")
    try:
        path = ExecutionPath(**plain)
    except TypeError as error:
        raise RecipeError(f"not an execution path: {error}") from error
    path.check_sound()
    return path


def read_path(file: Path) -> ExecutionPath | None:
    """The path in a file; None where there is no file, or none that can be read as one."""
    try:
        return path_from_plain(json.loads(file.read_bytes())["path"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_path(folder: Path, path: ExecutionPath) -> None:
    """Pin a trial's path in its folder."""
    write_atomically(folder / PATH_FILE, path_as_document(path))
