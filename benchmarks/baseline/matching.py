"""Matching Networks as in commit 3b468da, word for word."""

from __future__ import annotations

import math

import torch
from torch import nn

from benchmarks.baseline.full_context import FullContextEmbeddings
from benchmarks.baseline.metric import MetricNetworks, similarity
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MatchingSettings


class MatchingNetworks(MetricNetworks):
    """A query's class is the sum of its attention to that class's support: ``log p(y | x, S) = log sum_{i: y_i = y} a(x, x_i)``.

    The attention ``a`` is a softmax over all ``way * shot`` support images of ``scale * similarity`` (equations 1 and 2, section 2.1).
    Scores are log-probabilities, by log-softmax and logsumexp: finite and differentiable wherever the embeddings are.
    """

    def __init__(self, backbone: nn.Module, settings: MatchingSettings, *, features: int) -> None:
        super().__init__(backbone)
        self.settings = settings
        # Paper: no scale. A cosine lies in -1..1 and, after a last ReLU, in 0..1, which caps the attention; see docs/algorithms.md.
        self.log_scale = nn.Parameter(torch.tensor(math.log(settings.scale))) if settings.learn_scale else None
        self.context: FullContextEmbeddings | None = None
        if settings.fce and settings.reading_steps is not None:
            self.context = FullContextEmbeddings(features, reading_steps=settings.reading_steps)

    @property
    def scale(self) -> torch.Tensor | float:
        """What multiplies the similarity."""
        return self.settings.scale if self.log_scale is None else self.log_scale.exp()

    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Log-probabilities ``[E, way * query, way]`` of the queries of episodes of embeddings."""
        support, query = embedded.support, embedded.query.flatten(1, 2)
        if self.context is not None:
            support = self._in_context(self.context, support)
            query = self.context.embed_query(query, support.flatten(1, 2))
        compared = self.scale * similarity(self.settings.distance, query, support.flatten(1, 2))
        attention = torch.log_softmax(compared, dim=2)
        return attention.reshape(*attention.shape[:2], *support.shape[1:3]).logsumexp(dim=3)

    def _in_context(self, context: FullContextEmbeddings, support: torch.Tensor) -> torch.Tensor:
        """Support embeddings ``[E, way, shot, D]`` that know of each other, read in the recipe's order."""
        interleaved = self.settings.support_order == "interleaved"
        ordered = support.transpose(1, 2) if interleaved else support
        read = context.embed_support(ordered.flatten(1, 2)).reshape(ordered.shape)
        return read.transpose(1, 2) if interleaved else read
