"""Checks a value in a sweep file or preset against the type of its setting, and a name against its catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.data_settings import data_sets
from fsl_core.written import quoted
from orchestrator.sweep.cell_settings import setting_kinds
from orchestrator.sweep.document import Document, KeyPath, explain, nearest
from orchestrator.sweep.unknown_setting import unknown_setting

_TYPES = {name: TypeAdapter(kind, config=ConfigDict(strict=True)) for name, kind in setting_kinds().items()}
_NO_VALUE = ("none", "nil", "undefined")
"""What other languages write for null, which YAML reads as text."""


def problem_with(key: str, value: Any) -> str | None:
    """The problem with ``value`` for the setting ``key``: an unknown setting or name, or a wrong type; None where there is none."""
    if key not in _TYPES:
        return unknown_setting(key)
    return type_problem(key, value) or _unknown_name(key, value)


def type_problem(key: str, value: Any) -> str | None:
    """The problem with the type of ``value`` for a known setting; a name that no catalogue has is none."""
    try:
        _TYPES[key].validate_python(value)
    except ValidationError as error:
        if isinstance(value, str) and value.lower() in _NO_VALUE and type_problem(key, None) is None:
            return f"{quoted(value)} is not accepted: write null"
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


def _unknown_name(key: str, value: Any) -> str | None:
    """The problem with a name that its catalogue, plug-ins included, does not have."""
    noun, catalogue = _CATALOGUES.get(key, ("", None))
    if catalogue is None or value in catalogue():
        return None
    return f"unknown {noun} {quoted(value)}; {nearest(str(value), catalogue())}"


_CATALOGUES: Mapping[str, tuple[str, Callable[[], Mapping[str, Any]]]] = {
    "algorithm": ("algorithm", AlgorithmSettings.kinds),
    "backbone": ("backbone", BackboneSettings.kinds),
    "dataset": ("data set", data_sets),
}
