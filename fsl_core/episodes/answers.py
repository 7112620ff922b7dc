"""The correctly classified queries of each episode, as hex digits in a record.

The bits of an episode are its queries in order, class by class and query by query; the first is the highest bit of the first digit, and
the last digit is padded with zeros. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_DIGITS = frozenset("0123456789abcdef")


def hex_answers(right: np.ndarray) -> tuple[str, ...]:
    """A text for each episode of ``right``, bool ``[E, queries]``."""
    digits = -(-right.shape[1] // 4)
    return tuple(row.tobytes().hex()[:digits] for row in np.packbits(right, axis=1))


def problem_with_answers(texts: Sequence[object], counts: Sequence[int], queries: int) -> str | None:
    """Explain why texts cannot be the answers of episodes with so many queries and these counts of correct ones; None if they can."""
    if len(texts) != len(counts):
        return f"there are {len(texts)} texts for {len(counts)} episodes"
    digits = -(-queries // 4)
    spare = 4 * digits - queries
    for number, (text, count) in enumerate(zip(texts, counts, strict=True)):
        if not isinstance(text, str) or len(text) != digits or not _DIGITS.issuperset(text):
            return f"episode {number} has {text!r:.40}; {queries} queries are {digits} lower-case hex digits"
        bits = int(text, 16)
        if bits & ((1 << spare) - 1):
            return f"episode {number} has {text!r:.40}, with bits beyond its {queries} queries"
        if bits.bit_count() != count:
            return f"episode {number} has {text!r:.40}, {bits.bit_count()} correct answers, but its count is {count}"
    return None
