"""Checks a value in a sweep file or preset against the type of its setting."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from orchestrator.sweep.cell_settings import SETTING_NAMES, setting_kinds
from orchestrator.sweep.document import Document, KeyPath, explain, nearest

_TYPES = {name: TypeAdapter(kind, config=ConfigDict(strict=True)) for name, kind in setting_kinds().items()}


def problem_with(key: str, value: Any) -> str | None:
    """The problem with ``value`` for the setting ``key``: an unknown setting or a wrong type; None where there is none."""
    if key not in _TYPES:
        return f"unknown setting {key!r}; {nearest(key, SETTING_NAMES)}"
    try:
        _TYPES[key].validate_python(value)
    except ValidationError as error:
        return explain(error)[1]
    return None


def check_settings(document: Document, base: KeyPath, values: dict[str, Any], *, lists: bool = False) -> None:
    """Raises SweepFileError at the first of ``values``, found under ``base``, that no setting accepts.

    With ``lists`` each value of a list is checked, as in a pattern.
    """
    for key, value in values.items():
        for one in value if lists and isinstance(value, list) else [value]:
            if problem := problem_with(key, one):
                raise document.fault((*base, key), problem, setting=key, value=one)
