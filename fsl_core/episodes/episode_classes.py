"""Which classes the frozen episodes of an evaluation hold, by name: what the scores of test classes are computed from.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsl_core.datasets.class_names import character_of, class_name
from fsl_core.errors import RecipeError
from fsl_core.plain_values import member


@dataclass(frozen=True)
class EpisodeClasses:
    """The classes of ``E`` episodes.

    ``names``: those that occur, each once; a turned class is named as :func:`fsl_core.datasets.class_names.class_name` does.
    ``episodes``: a text for each episode, the numbers of its classes among the names in the order of their labels: ``"17 3 250 96 4"``.

    Raises:
        RecipeError: if a name is empty, stands twice or is of no episode, or an episode has a class twice or one without a name.
    """

    names: tuple[str, ...]
    episodes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) and name for name in self.names) or len(set(self.names)) != len(self.names):
            raise RecipeError("the classes of an evaluation have names, no two of them alike")
        numbers = set(map(str, range(len(self.names))))
        absent = set(numbers)
        for number, text in enumerate(self.episodes):
            own = text.split(" ") if isinstance(text, str) else [""]
            if not numbers.issuperset(own) or len(set(own)) != len(own):
                raise RecipeError(
                    f"episode {number} has classes {text!r:.60}; they are different numbers below {len(self.names)}"
                )
            absent.difference_update(own)
        if absent:
            raise RecipeError(f"{len(absent)} of {len(self.names)} named classes are in no episode")

    @staticmethod
    def of(classes: np.ndarray, base_names: Sequence[str], turns: int) -> EpisodeClasses:
        """Those of int64 ``[E, way]``, classes of a bank whose base classes have these names and count as ``turns`` classes each."""
        present, numbers = np.unique(classes, return_inverse=True)
        names = tuple(class_name(base_names[index // turns], index % turns) for index in present.tolist())
        return EpisodeClasses(names, tuple(" ".join(map(str, row)) for row in numbers.reshape(classes.shape)))

    def numbers(self) -> np.ndarray:
        """The number of each class among the names: int64 ``[E, way]``."""
        return np.array([text.split(" ") for text in self.episodes], dtype=np.int64)

    def characters(self) -> np.ndarray:
        """A number for each class that its turns share: int64 ``[E, way]``."""
        _, own = np.unique([character_of(name) for name in self.names], return_inverse=True)
        return np.asarray(own[self.numbers()])

    def names_of(self, episode: int) -> list[str]:
        """The names of an episode's classes in the order of their labels."""
        return [self.names[int(number)] for number in self.episodes[episode].split(" ")]

    def check(self, episodes: int, way: int) -> None:
        """Raises RecipeError unless these are the classes of so many episodes of ``way`` classes."""
        if len(self.episodes) != episodes or any(text.count(" ") != way - 1 for text in self.episodes):
            raise RecipeError(f"an evaluation of {episodes} episodes needs the {way} classes of each")

    def as_plain(self) -> dict[str, Any]:
        """These as plain JSON types."""
        return {"names": list(self.names), "episodes": list(self.episodes)}


def episode_classes_from_plain(plain: dict[str, Any]) -> EpisodeClasses:
    """What :meth:`EpisodeClasses.as_plain` wrote. Raises RecipeError when the document is not such a value."""
    return EpisodeClasses(tuple(member(plain, "names", list)), tuple(member(plain, "episodes", list)))
