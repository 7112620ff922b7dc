"""What the algorithms that compare embeddings share: one pass of the backbone an episode, and the distances."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from fsl_core.episodes.episode import EpisodeBatch


class MetricNetworks(nn.Module, ABC):
    """A backbone and a rule that scores queries by their embeddings; see :class:`tests.fsl_core.plain_loop.algorithm.MetricAlgorithm`."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[B, C, H, W]`` to embeddings ``[B, D]``."""
        embedded: torch.Tensor = self.backbone(images)
        return embedded

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` of episodes of images.

        Support and query of one episode pass the backbone together, so that they share its BatchNorm statistics; different episodes
        never do.
        """
        # Paper: no text says which images BatchNorm takes its statistics over. This is what Prototypical Networks' authors' code does.
        return torch.cat([self.logits(self._embed_episode(episodes, index)) for index in range(len(episodes))])

    def training_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of queries with scores ``[B, way]`` and labels int64 ``[B]``."""
        return nn.functional.cross_entropy(logits, labels)

    def _embed_episode(self, episodes: EpisodeBatch, index: int) -> EpisodeBatch:
        shape = episodes.shape
        support, query = episodes.support[index].flatten(0, 1), episodes.query[index].flatten(0, 1)
        embedded = self.embed(torch.cat([support, query]))
        return EpisodeBatch(
            support=embedded[: len(support)].reshape(1, shape.way, shape.shot, -1),
            query=embedded[len(support) :].reshape(1, shape.way, shape.query, -1),
        )

    @abstractmethod
    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` of episodes of embeddings."""


def similarity(distance: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The similarity ``[E, A, B]`` of rows of ``[E, A, D]`` and of ``[E, B, D]``, by torch's own cosine or distance of each pair."""
    left, right = left.unsqueeze(2), right.unsqueeze(1)
    if distance == "cosine":
        return nn.functional.cosine_similarity(left, right, dim=3)
    return -(torch.linalg.vector_norm(left - right, dim=3) ** 2)
