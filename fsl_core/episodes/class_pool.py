"""The classes that episodes are sampled from, and the check that they suffice."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import EpisodeError


@dataclass(frozen=True, eq=False)
class ClassPool:
    """Classes by ``sizes``, int64 ``[classes]``, their numbers of images; ``smallest`` and ``largest`` are the extremes.

    With ``turns`` above 1, each ``turns`` consecutive classes are rotations of one character, and an episode has at most one of them.

    Raises:
        ValueError: if the number of classes is no multiple of ``turns``.
    """

    sizes: torch.Tensor
    turns: int = 1
    smallest: int = field(init=False)
    largest: int = field(init=False)

    def __post_init__(self) -> None:
        if self.turns < 1 or len(self.sizes) % self.turns:
            raise ValueError(f"{len(self.sizes)} classes are not a whole number of characters with {self.turns} turns each")
        sizes = self.sizes.tolist() or [0]  # read from the device here, so that sampling never waits for it
        object.__setattr__(self, "smallest", min(sizes))
        object.__setattr__(self, "largest", max(sizes))

    @property
    def characters(self) -> int:
        """The number of classes that one episode can have."""
        return len(self.sizes) // self.turns

    def to(self, device: torch.device | str) -> ClassPool:
        """The same classes with their sizes on ``device``."""
        return self if torch.device(device) == self.sizes.device else ClassPool(self.sizes.to(device), self.turns)

    def check_enough(self, shape: EpisodeShape) -> None:
        """Raises EpisodeError unless episodes of ``shape`` can be sampled from these classes."""
        if self.characters < shape.way:
            what = "classes" if self.turns == 1 else "characters"
            raise EpisodeError(f"way is {shape.way}, but there are only {self.characters} {what} to sample from")
        if self.smallest < shape.images_per_class:
            raise EpisodeError(
                f"shot {shape.shot} + query {shape.query} need {shape.images_per_class} images a class; "
                f"the smallest class has {self.smallest}"
            )
