"""Colours and dashes that are distinct for colour-blind readers too."""

from __future__ import annotations

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette."""
DASHES = ("-", "--", ":", "-.")
UNTRAINED = "#777777"
OURS, THEIRS = COLOURS[0], COLOURS[1]
"""The colours of reproduced and published numbers."""


def line_style(number: int) -> tuple[str, str]:
    """The colour and dash of the line with this number, from 0. The first 28 differ."""
    return COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
