"""Answers and classes for scores that no network gave: the first queries of every episode are right, as many as its count says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from fsl_core.episodes.answers import hex_answers
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.episode_classes import EpisodeClasses


class MadeUp(TypedDict):
    """The fields of a score that its counts leave open."""

    correct: tuple[int, ...]
    answers: tuple[str, ...]
    classes: EpisodeClasses


def made_up(correct: Sequence[int], shape: EpisodeShape) -> MadeUp:
    """Counts as the fields of a score; every episode holds the same classes."""
    right = np.arange(shape.queries) < np.array(correct)[:, None]
    own = " ".join(map(str, range(shape.way)))
    classes = EpisodeClasses(tuple(f"class{number}" for number in range(shape.way)), (own,) * len(correct))
    return {"correct": tuple(correct), "answers": hex_answers(right), "classes": classes}
