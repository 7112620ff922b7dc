"""What the episode loop asks of an algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch

from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape


class Algorithm(Protocol):
    """A learner of episodes; concretely a :class:`torch.nn.Module`, whose state is what a checkpoint saves.

    Every algorithm is a :class:`MetricAlgorithm` or an :class:`AdaptingAlgorithm`, which differ in how they are scored.
    """

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Scores of the query images of episodes of images, differentiable: ``[E, way * query, way]``."""
        ...

    def training_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean loss of queries with scores ``[B, way]`` and labels int64 ``[B]``, whose gradient trains."""
        ...


@runtime_checkable
class MetricAlgorithm(Algorithm, Protocol):
    """Compares embeddings. A trained backbone gives an image the same embedding in every episode, so each is embedded once."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[B, C, H, W]`` to embeddings ``[B, D]``."""
        ...

    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Scores of the query images of episodes of embeddings: ``[E, way * query, way]``."""
        ...


@runtime_checkable
class AdaptingAlgorithm(Algorithm, Protocol):
    """Learns each episode from its support before it answers."""

    def logits_after(self, episodes: EpisodeBatch, adaptation_steps: Sequence[int], *, inductive: bool = False) -> torch.Tensor:
        """Scores of the query images of episodes of images after each of the given numbers of adaptation steps.

        ``adaptation_steps`` are ascending; the answer is ``[len(adaptation_steps), E, way * query, way]``. With ``inductive`` the
        scores of a query image depend on no other query image.
        """
        ...


def class_labels(way: int, images: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of ``images`` images of each of ``way`` classes, class by class: int64 ``[way * images]``."""
    return torch.arange(way, device=device).repeat_interleave(images)


def query_labels(shape: EpisodeShape, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of an episode's query images in the order of its logits: int64 ``[way * query]``."""
    return class_labels(shape.way, shape.query, device=device)
