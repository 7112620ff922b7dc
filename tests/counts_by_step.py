"""Counts of right answers that have a given mean and interval, where an export kept no more of them than these two."""

from __future__ import annotations

import math

from fsl_core.episodes.statistics import Z_95


def counts_like(accuracy_percent: float, ci95_points: float, *, episodes: int, queries: int) -> tuple[int, ...]:
    """As many counts in 0..queries as there are episodes; both numbers come out of them as they went in.

    Their sum and the sum of their squares are whole numbers, so that rounding finds both exactly. From counts as equal as they can be,
    right answers are taken from the lowest and given to the highest until the squares are reached.
    """
    total = round(accuracy_percent / 100 * queries * episodes)
    deviations = (ci95_points / 100 / Z_95 * queries) ** 2 * episodes * (episodes - 1)
    counts = [total // episodes + (place < total % episodes) for place in range(episodes)]
    missing = round(deviations + total**2 / episodes) - sum(count * count for count in counts)
    high, low = 0, episodes - 1
    while missing:
        if counts[high] == queries:
            high += 1
        elif counts[low] == 0:
            low -= 1
        elif (gain := 2 * (counts[high] - counts[low]) + 2) <= missing:
            counts[high], counts[low], missing = counts[high] + 1, counts[low] - 1, missing - gain
        else:
            break
    place = high + 1
    while missing:  # two that are equal so far gain twice a square
        if counts[place] != counts[place + 1] or not 0 < counts[place] < queries:
            place += 1
            continue
        change = min(math.isqrt(missing // 2), counts[place], queries - counts[place])
        counts[place], counts[place + 1], missing = counts[place] + change, counts[place] - change, missing - 2 * change**2
        place += 2
    return tuple(counts)
