"""The common part of metric algorithms: one pass of the backbone per episode, and the distances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import nn

from fsl_core.algorithms.algorithm import MetaGradient, query_labels, right_share
from fsl_core.algorithms.episode_gradient import gradient_of_episodes
from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.running_statistics import as_layer_statistics, initial_running_statistics
from fsl_core.backbones.weights import Statistics, Weights, part, prefixed, repeated
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.randomness import Stream

_DIFFERENCES_AT_ONCE = 25_000_000  # in scoring: 100 MB of float32
_BACKBONE = "backbone."


class MetricNetworks(ABC):
    """A backbone with a rule that scores queries by their embeddings; see :class:`fsl_core.algorithms.algorithm.MetricAlgorithm`."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, without a group axis."""
        return prefixed(self.backbone.initial_weights(stream.within("backbone")), _BACKBONE)

    def initial_statistics(self) -> Weights:
        """BatchNorm's running statistics before the first step, without a group axis."""
        return prefixed(initial_running_statistics(self.backbone.norms), _BACKBONE)

    def embed(
        self, weights: Mapping[str, torch.Tensor], statistics: Mapping[str, torch.Tensor], images: torch.Tensor, kernels: Kernels
    ) -> torch.Tensor:
        """Embed images ``[B, C, H, W]`` as ``[B, D]`` with one group of weights and its running statistics."""
        given = as_layer_statistics(part(statistics, _BACKBONE))
        embedded, _ = self.backbone.apply(
            part(weights, _BACKBONE), Images(images.unsqueeze(0)), kernels=kernels, statistics=given
        )
        return embedded.squeeze(0)

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """The meta-gradient of the episodes; see :class:`fsl_core.algorithms.algorithm.Algorithm`."""
        return gradient_of_episodes(
            lambda leaves: self.episode_loss(leaves, episodes, kernels), dict(weights), loss_factor=loss_factor
        )

    def episode_loss(
        self, weights: Weights, episodes: EpisodeBatch, kernels: Kernels
    ) -> tuple[torch.Tensor, torch.Tensor, Statistics]:
        """The mean loss and the accuracy of the queries of each episode of images, ``[S * E]``, and BatchNorm's statistics.

        Support and query of one episode pass through the backbone together and share its BatchNorm statistics; different episodes
        never do.
        """
        # Paper: no paper says which images BatchNorm's statistics cover. Prototypical Networks' authors' code does it this way.
        embedded, statistics = self._embed_episodes(weights, episodes, kernels)
        logits = self.logits(weights, embedded)
        labels = query_labels(episodes.shape, device=logits.device)
        return self.loss(logits, labels), right_share(logits, labels), prefixed_statistics(statistics)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy ``[G]`` of queries with scores ``[G, Q, way]`` and labels int64 ``[Q]``."""
        return cross_entropy(logits, labels)

    def _embed_episodes(self, weights: Weights, episodes: EpisodeBatch, kernels: Kernels) -> tuple[EpisodeBatch, Statistics]:
        shape, own = episodes.shape, part(weights, _BACKBONE)
        each = len(episodes) // len(next(iter(own.values())))
        repeats = {name: repeated(value, each) for name, value in own.items()}
        images = Images(torch.cat([episodes.support.flatten(1, 2), episodes.query.flatten(1, 2)], dim=1), words=episodes.words)
        embedded, statistics = self.backbone.apply(repeats, images, kernels=kernels)
        support, query = torch.split(embedded, [shape.way * shape.shot, shape.queries], dim=1)
        ways = (shape.way, -1)
        return EpisodeBatch(support=torch.unflatten(support, 1, ways), query=torch.unflatten(query, 1, ways)), statistics

    @abstractmethod
    def logits(self, weights: Mapping[str, torch.Tensor], embedded: EpisodeBatch) -> torch.Tensor:
        """The query logits ``[S * E, way * query, way]`` of embedded episodes."""


def prefixed_statistics(statistics: Statistics) -> Statistics:
    """Statistics by the names of the layers in the algorithm's state."""
    return {_BACKBONE + name: values for name, values in statistics.items()}


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy ``[G]`` of queries with scores ``[G, Q, way]`` and labels int64 ``[Q]``."""
    log_probabilities = logits.log_softmax(dim=2)
    return -log_probabilities.gather(2, labels.expand(len(logits), -1).unsqueeze(2)).mean(dim=(1, 2))


def similarity(distance: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The similarity ``[E, A, B]`` of rows of ``[E, A, D]`` and of ``[E, B, D]``: the negative distance, or the cosine."""
    return cosine_similarity(left, right) if distance == "cosine" else -squared_euclidean(left, right)


def squared_euclidean(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Squared distances ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``.

    Computed from differences: ``a^2 - 2ab + b^2`` loses small distances to cancellation in float32. Scoring takes a few rows of
    ``left`` at a time, which bounds the memory whether they are compared with prototypes or with every support image.
    """
    if torch.is_grad_enabled():  # a graph would hold all differences anyway, and sum their gradients in another order
        return _squared_differences(left, right)
    at_once = max(1, _DIFFERENCES_AT_ONCE // (len(left) * right.shape[1] * right.shape[2]))
    return torch.cat([_squared_differences(part, right) for part in torch.split(left, at_once, dim=1)], dim=1)


def _squared_differences(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return (left.unsqueeze(2) - right.unsqueeze(1)).square().sum(dim=3)


def cosine_similarity(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Cosines ``[E, A, B]`` between rows of ``[E, A, D]`` and of ``[E, B, D]``; a zero row has cosine 0 with everything."""
    return nn.functional.normalize(left, dim=2) @ nn.functional.normalize(right, dim=2).transpose(1, 2)
