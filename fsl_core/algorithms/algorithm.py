"""The interface of algorithms for training and scoring: pure functions of weights and episodes.

An algorithm holds settings and a backbone, but no weights. Weights have a leading axis of ``S`` groups, the seeds that train together
(one if a trial trains alone); episodes are ``S * E``, those of the first seed first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.randomness import Stream

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class MetaGradient:
    """The meta-gradient of a batch: means over the ``E`` episodes of each of ``S`` groups of weights.

    ``gradient``: ``[S, ...]`` for every weight; the optimiser descends it. ``statistics``: those that each BatchNorm layer normalised by,
    ``[S, F]``; empty without running statistics. ``loss`` and ``accuracy`` of the queries: ``[S]``, without a graph.
    """

    gradient: Weights
    statistics: Statistics
    loss: torch.Tensor
    accuracy: torch.Tensor


class Algorithm(Protocol):
    """A learner of episodes: a :class:`MetricAlgorithm` or an :class:`AdaptingAlgorithm`, which differ in how they are scored."""

    def initial_weights(self, stream: Stream) -> Weights:
        """The initial weights, float32 on the CPU and without a group axis, each sampled from its own stream within ``stream``."""
        ...

    def initial_statistics(self) -> Weights:
        """The running statistics before the first step, by their names in a checkpoint; empty if none are kept."""
        ...

    def meta_gradient(
        self, weights: Mapping[str, torch.Tensor], episodes: EpisodeBatch, *, loss_factor: float, kernels: Kernels
    ) -> MetaGradient:
        """The meta-gradient of the episodes at these weights, of the loss times ``loss_factor``."""
        ...


class ComputePart(Protocol):
    """Computes ``function(*arguments)``, perhaps with code compiled for that name at the first call.

    The arguments and the result are tensors, or tuples and dictionaries of tensors; the function reads nothing else that changes.
    """

    def __call__(self, name: str, function: Callable[..., Result], *arguments: Any) -> Result:
        """The result of the function."""
        ...


@runtime_checkable
class RepeatingAlgorithm(Algorithm, Protocol):
    """An algorithm whose meta-gradient may compute the same functions many times, so that they are compiled one by one."""

    @property
    def repeats(self) -> bool:
        """Whether it does so with its settings."""
        ...

    def meta_gradient_by_parts(
        self,
        weights: Mapping[str, torch.Tensor],
        episodes: EpisodeBatch,
        *,
        loss_factor: float,
        kernels: Kernels,
        compute: ComputePart,
    ) -> MetaGradient:
        """:meth:`meta_gradient`, with each function that repeats computed by ``compute``."""
        ...


@runtime_checkable
class MetricAlgorithm(Algorithm, Protocol):
    """Compares embeddings. A trained backbone embeds an image the same way in every episode, so each image is embedded once."""

    def embed(
        self, weights: Mapping[str, torch.Tensor], statistics: Mapping[str, torch.Tensor], images: torch.Tensor, kernels: Kernels
    ) -> torch.Tensor:
        """Embed images ``[B, C, H, W]`` as ``[B, D]`` with one group of weights and its running statistics."""
        ...

    def logits(self, weights: Mapping[str, torch.Tensor], embedded: EpisodeBatch) -> torch.Tensor:
        """The logits of the query images of ``S * E`` embedded episodes: ``[S * E, way * query, way]``."""
        ...


@runtime_checkable
class AdaptingAlgorithm(Algorithm, Protocol):
    """Adapts to the support of each episode before it answers."""

    def logits_after(
        self,
        weights: Mapping[str, torch.Tensor],
        episodes: EpisodeBatch,
        adaptation_steps: Sequence[int],
        *,
        kernels: Kernels,
        inductive: bool = False,
    ) -> torch.Tensor:
        """The logits of the query images after each of the given numbers of adaptation steps.

        ``adaptation_steps`` are ascending; the result is ``[len(adaptation_steps), S * E, way * query, way]``. With ``inductive`` the
        logits of a query image depend on no other query image.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """An algorithm with one group of weights and running statistics, each ``[1, ...]``."""

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
    """The share of correctly classified queries of each episode with logits ``[G, Q, way]``: float64 ``[G]``."""
    return (logits.detach().argmax(dim=2) == labels).double().mean(dim=1)


def mean_of_groups(values: torch.Tensor, groups: int) -> torch.Tensor:
    """The mean over the ``E`` episodes of each group: ``[S * E, ...]`` to ``[S, ...]``."""
    return torch.unflatten(values, 0, (groups, -1)).mean(dim=1)
