"""Checks of settings: each names the setting, the value it has and what would be accepted.

``beside`` names the settings that a check lies between, besides the one that it is of.
"""

from __future__ import annotations

import sys

from fsl_core.errors import SettingError


def one_of(name: str, value: object, accepted: tuple[object, ...], *, beside: tuple[str, ...] = ()) -> None:
    """Raises SettingError unless ``value`` is one of ``accepted``, type and all: True and 1.0 are not 1."""
    if not any(type(value) is type(item) and value == item for item in accepted):
        raise SettingError(name, value, f"accepted: {', '.join(map(repr, accepted))}", beside)


def truth(name: str, value: object) -> None:
    """Raises SettingError unless ``value`` is True or False itself."""
    if not isinstance(value, bool):
        raise SettingError(name, value, "it must be true or false")


def whole(name: str, value: object, least: int) -> None:
    """Raises SettingError unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(name, value, f"it must be an integer of at least {least}")


def positive(name: str, value: object) -> None:
    """Raises SettingError unless ``value`` is a finite number above 0."""
    if not _within(value, 0, sys.float_info.max):
        raise SettingError(name, value, "it must be a finite number above 0")


def positive_float32(name: str, value: object) -> None:
    """Raises SettingError unless ``value`` is a number above 0 that a float32, and the exponential of one, can stand for."""
    if not _within(value, 1e-38, 1e38):
        raise SettingError(name, value, "it must be a number from 1e-38 to 1e38, which float32 can hold")


def _within(value: object, least: float, most: float) -> bool:
    """Whether ``value`` is a number from ``least`` to ``most`` and above 0; integers of any length are compared as they are."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and least <= value <= most
