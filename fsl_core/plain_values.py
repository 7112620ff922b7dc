"""Reads values from a JSON document and checks the type and range of each: the content of a file is not trusted.

Every function raises RecipeError with the key and the value if the document has another one there. True is not the number 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fsl_core.errors import RecipeError

_CENTURIES = range(2000, 2200)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ULP = 1e-9  # a mean of accuracies is a sum of roundings, and may exceed 1 by as much


def member(plain: Mapping[str, Any], key: str, kind: type) -> Any:
    """The value of a key, of one kind (``str``, ``dict`` or ``list``)."""
    value = plain.get(key)
    if not isinstance(value, kind):
        raise RecipeError(f"{key} is {_shown(value)}; it must be a {kind.__name__}")
    return value


def digest(plain: Mapping[str, Any], key: str) -> str:
    """A SHA-256 in hex digits."""
    value = plain.get(key)
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise RecipeError(f"{key} is {_shown(value)}; it must be 64 hex digits")
    return value


def count(value: object, key: str, most: int) -> int:
    """An integer in 0..most."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise RecipeError(f"{key} is {_shown(value)}; it must be an integer in 0..{most}")
    return value


def number(value: object, key: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1.7e308:  # NaN compares as false
        raise RecipeError(f"{key} is {_shown(value)}; it must be a finite number")
    return float(value)


def not_negative(value: object, key: str) -> float:
    """A finite number of at least 0."""
    if number(value, key) < 0:
        raise RecipeError(f"{key} is {_shown(value)}; it must be at least 0")
    return float(value)  # type: ignore[arg-type]  # a number, as checked above


def fraction(value: object, key: str) -> float:
    """A number in 0..1."""
    if not 0 <= number(value, key) <= 1 + _ULP:
        raise RecipeError(f"{key} is {_shown(value)}; it must be in 0..1")
    return float(value)  # type: ignore[arg-type]  # a number, as checked above


def text(value: object, key: str) -> str:
    """A text that can be encoded as UTF-8."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecipeError(f"{key} is {_shown(value)}; it must be a text")
    return value


def time_with_zone(value: object, key: str) -> str:
    """An ISO time with its zone, in the years 2000 to 2199."""
    try:
        time = datetime.fromisoformat(text(value, key))
    except ValueError as error:
        raise RecipeError(f"{key} is {_shown(value)}; it must be a time") from error
    if time.tzinfo is None or time.year not in _CENTURIES:
        raise RecipeError(f"{key} is {_shown(value)}; it must be a time from 2000 to 2199, with its zone")
    return text(value, key)


def _shown(value: object) -> str:
    return repr(value)[:60]
