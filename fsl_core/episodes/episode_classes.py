"""The classes of an evaluation's frozen episodes, by name; scores per test class are computed from them.

Imports no torch.
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

    ``names``: the classes that occur, each once; rotated ones as :func:`fsl_core.datasets.class_names.class_name` names them.
    ``episodes``: a text for each episode, the indices of its classes into ``names`` in the order of their labels: ``"17 3 250 96 4"``.

    Raises:
        RecipeError: if a name is empty, duplicate or unused, or an episode has a duplicate class or one without a name.
    """

    names: tuple[str, ...]
    episodes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) and name for name in self.names) or len(set(self.names)) != len(self.names):
            raise RecipeError("the classes of an evaluation need distinct names")
        numbers = set(map(str, range(len(self.names))))
        absent = set(numbers)
        for number, text in enumerate(self.episodes):
            own = text.split(" ") if isinstance(text, str) else [""]
            if not numbers.issuperset(own) or len(set(own)) != len(own):
                raise RecipeError(
                    f"episode {number} has classes {text!r:.60}; they must be distinct numbers below {len(self.names)}"
                )
            absent.difference_update(own)
        if absent:
            raise RecipeError(f"{len(absent)} of {len(self.names)} class names occur in no episode")

    @staticmethod
    def of(classes: np.ndarray, base_names: Sequence[str], turns: int) -> EpisodeClasses:
        """From int64 ``[E, way]``, the classes of a bank with these base names, each of which counts as ``turns`` classes."""
        present, numbers = np.unique(classes, return_inverse=True)
        names = tuple(class_name(base_names[index // turns], index % turns) for index in present.tolist())
        return EpisodeClasses(names, tuple(" ".join(map(str, row)) for row in numbers.reshape(classes.shape)))

    def numbers(self) -> np.ndarray:
        """The index of each class into the names: int64 ``[E, way]``."""
        return np.array([text.split(" ") for text in self.episodes], dtype=np.int64)

    def characters(self) -> np.ndarray:
        """The index of each class's character, shared by its rotations: int64 ``[E, way]``."""
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
        """These classes as plain JSON types."""
        return {"names": list(self.names), "episodes": list(self.episodes)}


def episode_classes_from_plain(plain: dict[str, Any]) -> EpisodeClasses:
    """Read the document of :meth:`EpisodeClasses.as_plain`. Raises RecipeError if it is not one."""
    return EpisodeClasses(tuple(member(plain, "names", list)), tuple(member(plain, "episodes", list)))
