"""What the training step and the scoring ask of an algorithm: pure functions of weights and episodes.

An algorithm holds settings and a backbone, and no weights. Weights come in with a leading axis of ``S`` groups, the seeds that train
together (one, where a trial trains alone); episodes come as ``S * E``, those of the first seed first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.randomness import Stream


@dataclass(frozen=True, kw_only=True)
class MetaGradient:
    """What some episodes teach: the mean over the ``E`` episodes of each of ``S`` groups of weights.

    ``gradient``: ``[S, ...]`` for every weight, what the optimiser descends; ``statistics``: what each layer of BatchNorm normalised by,
    ``[S, F]``, empty where no running statistics are kept. ``loss`` and ``accuracy`` of the queries: ``[S]``, without a graph.
    """

    gradient: Weights
    statistics: Statistics
    loss: torch.Tensor
    accuracy: torch.Tensor


class Algorithm(Protocol):
    """A learner of episodes: a :class:`MetricAlgorithm` or an :class:`AdaptingAlgorithm`, which differ in how they are scored."""

    def initial_weights(self, stream: Stream) -> Weights:
        """The first weights, float32 on the CPU and without a group axis, each from a stream of its own within ``stream``."""
        ...

    def initial_statistics(self) -> Weights:
        """The running statistics before the first step, by the names that a checkpoint gives them; empty where none are kept."""
        ...

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """What the episodes teach at these weights; the gradient is that of the loss times ``loss_factor``."""
        ...


@runtime_checkable
class MetricAlgorithm(Algorithm, Protocol):
    """Compares embeddings. A trained backbone gives an image the same embedding in every episode, so each is embedded once."""

    def embed(
        self, weights: Mapping[str, torch.Tensor], statistics: Mapping[str, torch.Tensor], images: torch.Tensor, kernels: Kernels
    ) -> torch.Tensor:
        """Images ``[B, C, H, W]`` to embeddings ``[B, D]`` by one group of weights and its running statistics."""
        ...

    def logits(self, weights: Mapping[str, torch.Tensor], embedded: EpisodeBatch) -> torch.Tensor:
        """Scores of the query images of ``S * E`` episodes of embeddings: ``[S * E, way * query, way]``."""
        ...


@runtime_checkable
class AdaptingAlgorithm(Algorithm, Protocol):
    """Learns each episode from its support before it answers."""

    def logits_after(
        self,
        weights: Mapping[str, torch.Tensor],
        episodes: EpisodeBatch,
        adaptation_steps: Sequence[int],
        *,
        kernels: Kernels,
        inductive: bool = False,
    ) -> torch.Tensor:
        """Scores of the query images of episodes of images after each of the given numbers of adaptation steps.

        ``adaptation_steps`` are ascending; the answer is ``[len(adaptation_steps), S * E, way * query, way]``. With ``inductive`` the
        scores of a query image depend on no other query image.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """An algorithm with one group of weights, and its running statistics: ``[1, ...]`` each."""

    algorithm: Algorithm
    weights: Weights
    statistics: Weights


def class_labels(way: int, images: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of ``images`` images of each of ``way`` classes, class by class: int64 ``[way * images]``."""
    return torch.arange(way, device=device).repeat_interleave(images)


def query_labels(shape: EpisodeShape, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of an episode's query images in the order of its logits: int64 ``[way * query]``."""
    return class_labels(shape.way, shape.query, device=device)


def right_share(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The share of the queries of each episode that logits ``[G, Q, way]`` answer rightly: float64 ``[G]``."""
    return (logits.detach().argmax(dim=2) == labels).double().mean(dim=1)


def mean_of_groups(values: torch.Tensor, groups: int) -> torch.Tensor:
    """The mean over the ``E`` episodes of each group: ``[S * E, ...]`` to ``[S, ...]``."""
    return torch.unflatten(values, 0, (groups, -1)).mean(dim=1)
