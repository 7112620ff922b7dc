"""Values out of a JSON document, each of the type and in the range that its place asks for: what a file says is not believed.

Every function raises RecipeError with the key and the value when the document has something else there. True is not the number 1.
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
    """What stands at a key, of one kind (``str``, ``dict`` or ``list``)."""
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
    """A whole number in 0..most."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise RecipeError(f"{key} is {_shown(value)}; it must be a whole number in 0..{most}")
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
    return float(value)  # type: ignore[arg-type]  # it is a number, says the line above


def fraction(value: object, key: str) -> float:
    """A number in 0..1."""
    if not 0 <= number(value, key) <= 1 + _ULP:
        raise RecipeError(f"{key} is {_shown(value)}; it must be in 0..1")
    return float(value)  # type: ignore[arg-type]  # it is a number, says the line above


def text(value: object, key: str) -> str:
    """A text that UTF-8 can spell, as every reader of a record does."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecipeError(f"{key} is {_shown(value)}; it must be a text")
    return value


def time_with_zone(value: object, key: str) -> str:
    """A time, ISO with its zone, that every calendar can hold."""
    try:
        time = datetime.fromisoformat(text(value, key))
    except ValueError as error:
        raise RecipeError(f"{key} is {_shown(value)}; it must be a time") from error
    if time.tzinfo is None or time.year not in _CENTURIES:
        raise RecipeError(f"{key} is {_shown(value)}; it must be a time of these centuries, with its zone")
    return text(value, key)


def _shown(value: object) -> str:
    return repr(value)[:60]
