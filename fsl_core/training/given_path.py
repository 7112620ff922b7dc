"""The execution path that a user gives in a file."""

from __future__ import annotations

import json
from pathlib import Path

from fsl_core.errors import ExecutionPathError
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import path_from_plain


def given_path(file: Path, *, device: str, threads: int) -> ExecutionPath:
    """The execution path in a file.

    Raises:
        ExecutionPathError: there is none in it, or it is of another device or number of threads than the trials have.
    """
    try:
        path = path_from_plain(json.loads(file.read_bytes())["path"])
    except (ValueError, KeyError, TypeError) as error:
        raise ExecutionPathError(
            f"{file} holds no execution path ({error}); expected a file such as a trial's path.json"
        ) from error
    if (path.device, path.threads) != (device, threads):
        raise ExecutionPathError(
            f"{file} is of {path.device} with {path.threads} threads, these trials of {device} with {threads}; "
            f"give --device {path.device} --threads {path.threads}"
        )
    return path
