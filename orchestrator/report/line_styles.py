"""Colours and dashes that all eyes tell apart."""

from __future__ import annotations

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette."""
DASHES = ("-", "--", ":", "-.")
UNTRAINED = "#777777"
OURS, THEIRS = COLOURS[0], COLOURS[1]
"""What is reproduced, and what was published."""


def line_style(number: int) -> tuple[str, str]:
    """Colour and dash of the line with this number, from 0: the first 28 differ."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
