"""What a class is called, and the character that it is a turn of. Nothing here imports torch."""

from __future__ import annotations

import re

_TURNED = re.compile(r"@(?:90|180|270)\Z")


def class_name(base: str, turn: int) -> str:
    """The name of a base class turned by ``turn`` quarters: ``Gurmukhi/character03@90``; the base's own where it is not turned."""
    return f"{base}@{90 * turn}" if turn else base


def character_of(name: str) -> str:
    """The base class that a class is a turn of: what is a class of its own among the test classes."""
    return _TURNED.sub("", name)
