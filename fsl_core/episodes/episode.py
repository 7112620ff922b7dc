"""The episode: one N-way K-shot classification problem (a "task" in the MAML paper)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsl_core.checks import size

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class EpisodeShape:
    """The number of classes and images in an episode.

    ``way`` classes, ``shot`` support images per class and ``query`` query images per class.

    Raises:
        SettingError: if ``way`` is below 2, ``shot`` or ``query`` is below 1, or one exceeds the size of a tensor axis.
    """

    way: int
    shot: int
    query: int

    def __post_init__(self) -> None:
        for name, least in (("way", 2), ("shot", 1), ("query", 1)):
            size(name, getattr(self, name), least)

    @property
    def images_per_class(self) -> int:
        """The images of one class in an episode, support and query together."""
        return self.shot + self.query

    @property
    def queries(self) -> int:
        """The query images of a whole episode, over all its classes."""
        return self.way * self.query

    def __str__(self) -> str:
        return f"{self.way}-way {self.shot}-shot, {self.query} {'query' if self.query == 1 else 'queries'} a class"


@dataclass(frozen=True)
class EpisodeBatch:
    """The images of ``E`` episodes of one shape, class by class.

    ``support``: ``[E, way, shot, ...]``; ``query``: ``[E, way, query, ...]``. The trailing axes are ``[C, H, W]`` for images
    (float; ink or intensity in 0..1, or normalised by channel) and ``[D]`` once they are embedded. The class at index ``n`` of an
    episode has label ``n``. ``words``: a random int64 of each episode's own, ``[E]``, from the stream that it was sampled from: what an
    algorithm randomises within an episode is a function of it. None where episodes were not sampled.
    """

    support: torch.Tensor
    query: torch.Tensor
    words: torch.Tensor | None = None

    @property
    def shape(self) -> EpisodeShape:
        """The shape of every episode of the batch."""
        return EpisodeShape(way=self.support.shape[1], shot=self.support.shape[2], query=self.query.shape[2])

    def __len__(self) -> int:
        return int(self.support.shape[0])

    def parts(self, size: int) -> Iterator[EpisodeBatch]:
        """The same episodes in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            own = slice(start, start + size)
            words = None if self.words is None else self.words[own]
            yield EpisodeBatch(support=self.support[own], query=self.query[own], words=words)
