"""Prototypical Networks. Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017 (arXiv 1703.05175)."""

from __future__ import annotations

import torch
from torch import nn

from fsl_core.episode import EpisodeBatch
from fsl_core.recipe import PrototypicalSettings


class PrototypicalNetworks(nn.Module):
    """Each class is the mean of its support embeddings; a query is scored by its negative distance to each mean.

    With ``squared_euclidean`` the logits are ``-scale * ||f(x) - c||^2`` (equations 1 and 2 of the paper, scale 1); with ``cosine``
    they are ``scale * cos(f(x), c)``. The distance is the *squared* one: the plain one trains differently (section 2.3).
    """

    def __init__(self, backbone: nn.Module, settings: PrototypicalSettings) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = settings

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[B, C, H, W]`` to embeddings ``[B, D]``."""
        embedded: torch.Tensor = self.backbone(images)
        return embedded

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` of episodes of images.

        Support and query of one episode pass the backbone together, as in the authors' code, so that they share its BatchNorm
        statistics; different episodes never do.
        """
        return torch.cat([self.logits(self._embed_episode(episodes, index)) for index in range(len(episodes))])

    def _embed_episode(self, episodes: EpisodeBatch, index: int) -> EpisodeBatch:
        shape = episodes.shape
        support, query = episodes.support[index].flatten(0, 1), episodes.query[index].flatten(0, 1)
        embedded = self.embed(torch.cat([support, query]))
        return EpisodeBatch(
            support=embedded[: len(support)].reshape(1, shape.way, shape.shot, -1),
            query=embedded[len(support) :].reshape(1, shape.way, shape.query, -1),
        )

    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` of episodes of embeddings."""
        prototypes = embedded.support.mean(dim=2)
        query = embedded.query.flatten(1, 2)
        if self.settings.distance == "cosine":
            return self.settings.scale * cosine_similarity(query, prototypes)
        return -self.settings.scale * squared_euclidean(query, prototypes)


def squared_euclidean(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Squared distances ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``.

    By differences rather than by ``a^2 - 2ab + b^2``, which loses the small distances to cancellation in float32.
    """
    return (left.unsqueeze(2) - right.unsqueeze(1)).square().sum(dim=3)


def cosine_similarity(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cosines ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``; a zero row has cosine 0 with everything."""
    return nn.functional.normalize(left, dim=2) @ nn.functional.normalize(right, dim=2).transpose(1, 2)
