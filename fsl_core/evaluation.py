"""Scoring: frozen episodes of unseen classes, each image embedded once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from fsl_core.algorithms.algorithm import Algorithm, query_labels
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episode import EpisodeBatch, EpisodeShape
from fsl_core.sampler import EpisodeIndices

_IMAGES_AT_ONCE = 500
_SCORES_AT_ONCE = 200_000  # query-times-way scores of one chunk of episodes: bounds the memory of 20-way distances


@torch.no_grad()
def count_correct(algorithm: nn.Module, bank: ImageBank, episodes: EpisodeIndices) -> torch.Tensor:
    """How many query images of each episode the algorithm classifies rightly: int64 ``[E]`` on the CPU.

    BatchNorm uses its running statistics (``algorithm.eval()``), so a score does not depend on the other queries of its episode.
    The algorithm is left in the mode it was in.
    """
    assert isinstance(algorithm, Algorithm)
    was_training = algorithm.training
    algorithm.eval()
    try:
        embedded, places = _embed_once(algorithm, bank, episodes)
        return torch.cat([_correct(algorithm, chunk) for chunk in _chunks(embedded, places)]).cpu()
    finally:
        algorithm.train(was_training)


def _embed_once(algorithm: Algorithm, bank: ImageBank, episodes: EpisodeIndices) -> tuple[torch.Tensor, EpisodeBatch]:
    """Embeddings of the distinct images of all episodes, and for each support and query image its row among them."""
    per_class = int(bank.class_sizes.max())
    classes = episodes.classes.to(bank.class_sizes.device).unsqueeze(2)
    support = classes * per_class + episodes.support.to(classes.device)
    query = classes * per_class + episodes.query.to(classes.device)
    distinct, rows = torch.unique(torch.cat([support.flatten(), query.flatten()]), return_inverse=True)
    embedded = torch.cat(
        [algorithm.embed(bank.gather(part // per_class, part % per_class)) for part in torch.split(distinct, _IMAGES_AT_ONCE)]
    )
    places = EpisodeBatch(
        support=rows[: support.numel()].reshape(support.shape), query=rows[support.numel() :].reshape(query.shape)
    )
    return embedded, places


def _chunks(embedded: torch.Tensor, places: EpisodeBatch) -> Iterator[EpisodeBatch]:
    shape = places.shape
    size = max(1, _SCORES_AT_ONCE // (shape.queries * shape.way))
    for support, query in zip(torch.split(places.support, size), torch.split(places.query, size), strict=True):
        yield EpisodeBatch(support=embedded[support], query=embedded[query])


def _correct(algorithm: Algorithm, episodes: EpisodeBatch) -> torch.Tensor:
    shape: EpisodeShape = episodes.shape
    predicted = algorithm.logits(episodes).argmax(dim=2)
    return (predicted == query_labels(shape, device=predicted.device)).sum(dim=1)
