"""Names of classes and of their rotations. Imports no torch."""

from __future__ import annotations

import re

_TURNED = re.compile(r"@(?:90|180|270)\Z")


def class_name(base: str, turn: int) -> str:
    """The name of a base class rotated by ``turn`` quarters: ``Gurmukhi/character03@90``; the base name if ``turn`` is 0."""
    return f"{base}@{90 * turn}" if turn else base


def character_of(name: str) -> str:
    """The base class of a rotated class; rotations of one character are not independent test classes."""
    return _TURNED.sub("", name)
