"""Checks of settings: each error names the setting, its value and what would be accepted.

``beside`` names the other settings involved in a check.
"""

from __future__ import annotations

from typing import Any

from fsl_core.errors import SettingError
from fsl_core.written import quoted

MOST_WHOLE = 2**53 - 1
"""The largest count: every reader of JSON holds integers up to here (RFC 7493); the int64 of Arrow and torch holds more."""
MOST_SIZE = 10**6
"""The largest axis of a tensor: the product of three, the images of a batch, still fits into an int64."""


def one_of(name: str, value: object, accepted: tuple[object, ...], *, beside: tuple[str, ...] = ()) -> None:
    """Raises SettingError unless ``value`` is one of ``accepted``, of the same type: True and 1.0 are not 1."""
    if not any(type(value) is type(item) and value == item for item in accepted):
        raise SettingError(name, value, f"accepted: {', '.join(map(quoted, accepted))}", beside)


def truth(name: str, value: object) -> None:
    """Raises SettingError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise SettingError(name, value, "it must be true or false")


def whole(name: str, value: object, least: int, most: int = MOST_WHOLE) -> None:
    """Raises SettingError unless ``value`` is an integer from ``least`` to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(name, value, f"it must be an integer of at least {least}")
    if value > most:
        raise SettingError(name, value, f"it must be an integer of at most {most}")


def size(name: str, value: object, least: int) -> None:
    """Raises SettingError unless ``value`` is an integer of at least ``least`` that an axis of a tensor can have."""
    whole(name, value, least, MOST_SIZE)


def positive_float32(name: str, value: Any) -> None:
    """Raises SettingError unless ``value`` is a number above 0 that float32, and the exponential of a float32, can represent."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 1e-38 <= value <= 1e38):  # integers of any length are compared exactly
        raise SettingError(name, value, "it must be a number from 1e-38 to 1e38, which float32 can hold")
