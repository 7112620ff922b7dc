"""Reads sealed records, and reports a file that cannot be read as an error of the runs folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsl_core.sealed
from fsl_core.sealed import Value
from orchestrator.errors import StoreError


def read_sealed(path: Path, parse: Callable[[dict[str, Any]], Value]) -> tuple[Value, bool] | None:
    """See :func:`fsl_core.sealed.read_sealed`. Raises StoreError where a file exists and cannot be read."""
    try:
        return fsl_core.sealed.read_sealed(path, parse)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror})") from error
