"""Checks of settings: each names the setting, the value it has and what would be accepted."""

from __future__ import annotations

import math

from fsl_core.errors import RecipeError


def one_of(name: str, value: object, accepted: tuple[object, ...]) -> None:
    """Raises RecipeError unless ``value`` is one of ``accepted``."""
    if value not in accepted:
        raise RecipeError(f"{name} is {value!r}; accepted: {', '.join(map(repr, accepted))}")


def whole(name: str, value: object, least: int) -> None:
    """Raises RecipeError unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RecipeError(f"{name} is {value!r}; it must be an integer of at least {least}")


def positive(name: str, value: object) -> None:
    """Raises RecipeError unless ``value`` is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise RecipeError(f"{name} is {value!r}; it must be a finite number above 0")
