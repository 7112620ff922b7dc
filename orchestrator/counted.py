"""How many of something, in words: the noun is plural unless there is one."""

from __future__ import annotations


def counted(count: int, noun: str, *, separator: str = ",") -> str:
    """A number and its noun: ``1 trial``, ``2,000 trials``. ``separator`` stands between thousands."""
    return f"{count:,}".replace(",", separator) + f" {noun}{'' if count == 1 else 's'}"
