"""Which queries of each episode were answered rightly, as hex digits that a record can hold.

The bits of an episode are its queries in the order of their position, class by class and query by query, the first one the highest bit
of the first digit; the last digit is filled up with zeros. Nothing here imports torch.
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
    """Why texts from a document are not the answers of episodes of so many queries with these counts of right ones; None: they are."""
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
            return f"episode {number} has {text!r:.40}, {bits.bit_count()} right answers, and its count is {count}"
    return None
