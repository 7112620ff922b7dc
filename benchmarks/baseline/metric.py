"""What the algorithms that compare embeddings share, as in commit 3b468da, word for word; training alone."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from fsl_core.episodes.episode import EpisodeBatch


class MetricNetworks(nn.Module, ABC):
    """A backbone and a rule that scores queries by their embeddings."""

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
    """The similarity ``[E, A, B]`` of rows of ``[E, A, D]`` and of ``[E, B, D]``: the negative distance, or the cosine."""
    return cosine_similarity(left, right) if distance == "cosine" else -squared_euclidean(left, right)


def squared_euclidean(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Squared distances ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``."""
    return (left.unsqueeze(2) - right.unsqueeze(1)).square().sum(dim=3)


def cosine_similarity(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cosines ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``; a zero row has cosine 0 with everything."""
    return nn.functional.normalize(left, dim=2) @ nn.functional.normalize(right, dim=2).transpose(1, 2)
