"""Matching Networks. Vinyals et al., "Matching Networks for One Shot Learning", NIPS 2016 (arXiv 1606.04080)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from fsl_core.algorithms.full_context import FullContextEmbeddings
from fsl_core.algorithms.metric import MetricNetworks, similarity
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.weights import Weights, of_group, part, prefixed
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MatchingSettings

_CONTEXT, _LOG_SCALE = "context.", "log_scale"


class MatchingNetworks(MetricNetworks):
    """Scores a class by the query's total attention to its support: ``log p(y | x, S) = log sum_{i: y_i = y} a(x, x_i)``.

    The attention ``a`` is a softmax over all ``way * shot`` support images of ``scale * similarity`` (equations 1 and 2, section 2.1).
    The logits are log-probabilities by log-softmax and logsumexp: finite and differentiable wherever the embeddings are.
    """

    def __init__(self, backbone: Backbone, settings: MatchingSettings) -> None:
        super().__init__(backbone)
        self.settings = settings
        self.context: FullContextEmbeddings | None = None
        if settings.fce and settings.reading_steps is not None:
            self.context = FullContextEmbeddings(backbone.features, settings.reading_steps)

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis."""
        weights = super().initial_weights(stream)
        # Paper: no scale. A cosine is in -1..1 and, after a last ReLU, in 0..1, which caps the attention; see docs/algorithms.md.
        if self.settings.learn_scale:
            weights[_LOG_SCALE] = torch.tensor(math.log(self.settings.scale))
        if self.context is not None:
            weights |= prefixed(self.context.initial_weights(stream.within("context")), _CONTEXT)
        return weights

    def logits(self, weights: Mapping[str, torch.Tensor], embedded: EpisodeBatch) -> torch.Tensor:
        """The log-probabilities ``[S * E, way * query, way]`` of the queries of embedded episodes."""
        support, query = embedded.support, embedded.query.flatten(1, 2)
        if self.context is not None:
            support, query = self._in_context(self.context, part(weights, _CONTEXT), support, query)
        compared = self._scale(weights, len(query)) * similarity(self.settings.distance, query, support.flatten(1, 2))
        attention = torch.log_softmax(compared, dim=2)
        return attention.reshape(*attention.shape[:2], *support.shape[1:3]).logsumexp(dim=3)

    def _scale(self, weights: Mapping[str, torch.Tensor], episodes: int) -> torch.Tensor | float:
        """The factor of the similarity: a number, or ``[S * E, 1, 1]``."""
        if not self.settings.learn_scale:
            return self.settings.scale
        scales = weights[_LOG_SCALE].exp()
        return scales.repeat_interleave(episodes // len(scales)).view(-1, 1, 1)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean negative log-likelihood ``[G]`` of queries with log-probabilities ``[G, Q, way]`` and labels int64 ``[Q]``.

        A ``clamp`` bounds each probability before the logarithm: beyond it a query has no gradient. Answers and accuracies use the
        unclamped probabilities.
        """
        # Paper: no clamp. The 2018 reproduction clamps at 1e-8 against infinite logarithms, which log-softmax never has; a clamped wrong
        # answer of high confidence has no gradient.
        clamp = self.settings.clamp
        if clamp is None:
            return super().loss(logits, labels)
        right = logits.gather(2, labels.expand(len(logits), -1).unsqueeze(2))
        return -right.clamp(math.log(clamp), math.log1p(-clamp)).mean(dim=(1, 2))

    def _in_context(
        self, context: FullContextEmbeddings, weights: Weights, support: torch.Tensor, query: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Full context embeddings of support ``[G, way, shot, D]`` and query ``[G, Q, D]``, by each seed's own LSTMs."""
        seeds = len(next(iter(weights.values())))
        supports, queries = [], []
        for seed, (own, asked) in enumerate(zip(support.chunk(seeds), query.chunk(seeds), strict=True)):
            read = self._read(context, of_group(weights, seed), own)
            supports.append(read)
            queries.append(context.embed_query(of_group(weights, seed), asked, read.flatten(1, 2)))
        return torch.cat(supports), torch.cat(queries)

    def _read(self, context: FullContextEmbeddings, weights: Weights, support: torch.Tensor) -> torch.Tensor:
        """Full context embeddings of the support, ``[E, way, shot, D]``, read in the recipe's order."""
        interleaved = self.settings.support_order == "interleaved"
        ordered = support.transpose(1, 2) if interleaved else support
        read = context.embed_support(weights, ordered.flatten(1, 2)).reshape(ordered.shape)
        return read.transpose(1, 2) if interleaved else read
