"""Scoring on frozen episodes of unseen classes; the weights never change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from fsl_core.algorithms.algorithm import AdaptingAlgorithm, MetricAlgorithm, Model, query_labels
from fsl_core.backbones.kernels import Kernels
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeIndices, gather_episodes
from fsl_core.errors import RecipeError

_EMBEDDED_AT_ONCE = 500 * 28 * 28  # pixels that the backbone sees at once: bounds the memory of activations
_SCORES_AT_ONCE = 200_000  # query-times-way logits of one chunk of episodes: bounds the memory of 20-way distances
_DIFFERENCES_AT_ONCE = 25_000_000  # the same times the features, of which large images have many
_PIXELS_AT_ONCE = 25_000_000  # of the episodes adapted at once on CUDA
_PIXELS_AT_ONCE_ON_CPU = 100_000  # the same on a CPU, where larger batches outgrow its caches


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The scores of an algorithm on ``E`` episodes; the tensors are on the CPU.

    ``counts``: int64 ``[S, E]``, the correctly classified query images of each episode after each of the ``S`` numbers of adaptation
    steps; ``S`` is 1 for metric algorithms. A query whose probabilities are NaN is wrong. ``loss``: float64 ``[S, E]``, the sum of the
    queries' cross-entropies in nats.
    ``right``: bool ``[E, way * query]``, the correct queries after the last of these steps.
    """

    counts: torch.Tensor
    loss: torch.Tensor
    right: torch.Tensor


@torch.no_grad()
def score_episodes(
    model: Model,
    bank: ImageBank,
    episodes: EpisodeIndices,
    *,
    kernels: Kernels,
    adaptation_steps: Sequence[int] | None = None,
    inductive: bool = False,
) -> Scored:
    """Score a model on episodes: correct query images and loss, from one pass.

    An adapting algorithm answers after each of the ascending ``adaptation_steps``; metric algorithms take none. BatchNorm uses running
    statistics if the model has them, so a score does not depend on the other queries of its episode. An adapting model is scored
    transductively, or with ``inductive`` so that no query sees another.

    Raises:
        RecipeError: if an adapting algorithm gets no such steps, or the algorithm is of neither kind.
    """
    algorithm = model.algorithm
    if isinstance(algorithm, AdaptingAlgorithm):
        steps = _checked_steps(algorithm, adaptation_steps)
        logits: Iterator[torch.Tensor] = (
            algorithm.logits_after(model.weights, images, steps, kernels=kernels, inductive=inductive)
            for images in _gathered(bank, episodes)
        )
    elif isinstance(algorithm, MetricAlgorithm):
        logits = _compared(algorithm, model, bank, episodes, kernels)
    else:
        raise RecipeError(f"algorithm is a {type(algorithm).__name__}; accepted: a MetricAlgorithm or an AdaptingAlgorithm")
    return _joined([_scored(part, episodes.shape) for part in logits])


def _checked_steps(algorithm: AdaptingAlgorithm, steps: Sequence[int] | None) -> Sequence[int]:
    if not steps or steps[0] < 0 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise RecipeError(
            f"adaptation_steps is {steps!r}; {type(algorithm).__name__} needs ascending numbers of at least 0, such as (0, 1, 3)"
        )
    return steps


def adapted_at_once(shape: EpisodeShape, image_shape: tuple[int, int, int], device: torch.device | str) -> int:
    """The number of episodes that are adapted together in scoring."""
    pixels = shape.way * shape.images_per_class * math.prod(image_shape)
    limit = _PIXELS_AT_ONCE if torch.device(device).type == "cuda" else _PIXELS_AT_ONCE_ON_CPU
    return max(1, limit // pixels)


def _gathered(bank: ImageBank, episodes: EpisodeIndices) -> Iterator[EpisodeBatch]:
    device = bank.images.device
    for part in episodes.parts(adapted_at_once(episodes.shape, bank.image_shape, device)):
        yield gather_episodes(bank, part.to(device))


def _compared(
    algorithm: MetricAlgorithm, model: Model, bank: ImageBank, episodes: EpisodeIndices, kernels: Kernels
) -> Iterator[torch.Tensor]:
    """Yield logits ``[1, E, way * query, way]`` in chunks of episodes; each distinct image is embedded once."""
    embedded, places = _embed_once(algorithm, model, bank, episodes, kernels)
    size = compared_at_once(places.shape, features=embedded.shape[1])
    for support, query in zip(torch.split(places.support, size), torch.split(places.query, size), strict=True):
        yield algorithm.logits(model.weights, EpisodeBatch(support=embedded[support], query=embedded[query])).unsqueeze(0)


def _embed_once(
    algorithm: MetricAlgorithm, model: Model, bank: ImageBank, episodes: EpisodeIndices, kernels: Kernels
) -> tuple[torch.Tensor, EpisodeBatch]:
    """Embed the distinct images of all episodes; also returns the row of each support and query image."""
    per_class = int(bank.class_sizes.max())
    classes = episodes.classes.to(bank.class_sizes.device).unsqueeze(2)
    support = classes * per_class + episodes.support.to(classes.device)
    query = classes * per_class + episodes.query.to(classes.device)
    distinct, rows = torch.unique(torch.cat([support.flatten(), query.flatten()]), return_inverse=True)
    embedded = torch.cat(
        [
            algorithm.embed(model.weights, model.statistics, bank.gather(part // per_class, part % per_class), kernels)
            for part in torch.split(distinct, embedded_at_once(bank.image_shape))
        ]
    )
    places = EpisodeBatch(
        support=rows[: support.numel()].reshape(support.shape), query=rows[support.numel() :].reshape(query.shape)
    )
    return embedded, places


def embedded_at_once(image_shape: tuple[int, int, int]) -> int:
    """The number of images ``(C, H, W)`` that the backbone embeds at once in scoring."""
    return max(1, _EMBEDDED_AT_ONCE // (image_shape[1] * image_shape[2]))


def compared_at_once(shape: EpisodeShape, *, features: int) -> int:
    """The number of episodes, of embeddings with ``features`` numbers, that are compared at once."""
    scores = shape.queries * shape.way
    # A comparison with every support image instead of prototypes bounds its own memory: see squared_euclidean.
    return max(1, min(_SCORES_AT_ONCE // scores, _DIFFERENCES_AT_ONCE // (scores * features)))


def _scored(logits: torch.Tensor, shape: EpisodeShape) -> Scored:
    """The scores of a chunk of ``e`` episodes with logits ``[S, e, way * query, way]``."""
    labels = query_labels(shape, device=logits.device)
    # In float64: a loss near 0 is a small difference of logits, and an episode sums many.
    log_probabilities = logits.double().log_softmax(dim=3)
    # Among NaNs argmax takes the first class: an adaptation that diverged would have the accuracy of chance.
    right = (logits.argmax(dim=3) == labels) & ~log_probabilities.isnan().any(dim=3)
    of_labels = log_probabilities.gather(3, labels.expand(right.shape).unsqueeze(3)).squeeze(3)
    return Scored(counts=right.sum(dim=2), loss=-of_labels.sum(dim=2), right=right[-1])


def _joined(parts: Sequence[Scored]) -> Scored:
    """Join the scores of consecutive chunks of episodes on the CPU."""
    counts = torch.cat([part.counts for part in parts], dim=1)
    loss = torch.cat([part.loss for part in parts], dim=1)
    return Scored(counts=counts.cpu(), loss=loss.cpu(), right=torch.cat([part.right for part in parts]).cpu())
