"""Samples episodes in whole batches, by index, on the device that holds the images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.randomness import Stream, word_at, words

_SMALLEST_KEY = -(2**63)  # beyond the images of a class
_KEYS_AT_ONCE = 4_000_000  # of the frozen episodes that are sampled at once: 32 MB per tensor


@dataclass(frozen=True)
class EpisodeIndices:
    """The classes and images of ``E`` episodes, by index.

    ``classes``: int64 ``[E, way]``, distinct in each episode. ``support``: int64 ``[E, way, shot]`` and ``query``: int64
    ``[E, way, query]`` number the images within their class; together they are distinct. ``words``: a random int64 of each episode's
    own, ``[E]``, for what an algorithm randomises within it; no part of what the episode is.
    """

    classes: torch.Tensor
    support: torch.Tensor
    query: torch.Tensor
    words: torch.Tensor

    @property
    def shape(self) -> EpisodeShape:
        """The shape of every episode."""
        return EpisodeShape(way=self.support.shape[1], shot=self.support.shape[2], query=self.query.shape[2])

    def __len__(self) -> int:
        return int(self.classes.shape[0])

    def parts(self, size: int) -> Iterator[EpisodeIndices]:
        """The same episodes in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield EpisodeIndices(self.classes[part], self.support[part], self.query[part], self.words[part])

    def to(self, device: torch.device | str) -> EpisodeIndices:
        """The same episodes on ``device``."""
        parts = (self.classes, self.support, self.query, self.words)
        return EpisodeIndices(*(part.to(device) for part in parts))

    def digest(self) -> str:
        """The SHA-256 of the indices: equal digests mean equal episodes."""
        digest = hashlib.sha256()
        for part in (self.classes, self.support, self.query):
            digest.update(repr(tuple(part.shape)).encode())
            digest.update(part.cpu().contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def sample_episodes(pool: ClassPool, shape: EpisodeShape, count: int, *, word: torch.Tensor, first: int = 0) -> EpisodeIndices:
    """Sample ``count`` episodes uniformly: classes without replacement, then images of each class without replacement.

    If the pool's classes are rotations of characters, it samples characters without replacement and then a rotation of each. Episodes
    depend only on ``word`` and their number, by integer arithmetic: the same on every device and for any batch size. Nothing is read
    back from the device.

    Args:
        pool: the classes; the caller has called ``check_enough(shape)``, nothing is checked here.
        shape: the shape of every episode.
        count: the number of episodes, ``E``.
        word: the source of randomness, from :func:`fsl_core.randomness.word_at`; it may be on the CPU.
        first: the number of the first episode among all those of ``word``.
    """
    device = pool.sizes.device
    by_character, by_turn, by_image, by_episode = words(word, (4,), device=word.device)
    classes = _largest(words(by_character, (count, pool.characters), first_row=first, device=device), shape.way)
    if pool.turns > 1:
        turns = words(by_turn, (count, shape.way), first_row=first, device=device).remainder_(pool.turns)
        classes = classes * pool.turns + turns
    keys = words(by_image, (count, shape.way, pool.largest), first_row=first, device=device)
    beyond = torch.arange(pool.largest, device=device) >= pool.sizes[classes].unsqueeze(2)
    images = _largest(keys.masked_fill_(beyond, _SMALLEST_KEY), shape.images_per_class)
    own = words(by_episode, (count,), first_row=first, device=device)
    return EpisodeIndices(classes=classes, support=images[..., : shape.shot], query=images[..., shape.shot :], words=own)


def _largest(keys: torch.Tensor, count: int) -> torch.Tensor:
    """The places of the largest keys of each last row, in descending order: a sample without replacement, as no two keys tie."""
    return keys.topk(count, dim=-1).indices


@dataclass(frozen=True)
class EpisodeSampler:
    """An endless source of episodes of one shape from one bank: a batch depends only on (seed, stream, step).

    With ``distinct_characters`` no episode has two rotations of one character.

    Raises:
        EpisodeError: if there are fewer classes (or characters) than ``way``, or a class has fewer images than ``shot + query``.
    """

    bank: ImageBank
    shape: EpisodeShape
    seed: int
    stream: str
    distinct_characters: bool = False

    def __post_init__(self) -> None:
        self._pool.check_enough(self.shape)

    @cached_property
    def _pool(self) -> ClassPool:
        return self.bank.pool(distinct_characters=self.distinct_characters)

    @cached_property
    def _key(self) -> int:
        return Stream(self.seed, self.stream).key

    def batch(self, step: int | torch.Tensor, count: int = 1) -> EpisodeBatch:
        """The ``count`` episodes of ``step``, as images on the bank's device."""
        return gather_episodes(self.bank, self.indices(step, count))

    def indices(self, step: int | torch.Tensor, count: int = 1) -> EpisodeIndices:
        """The ``count`` episodes of ``step``, as indices on the bank's device; a step may be an int64 tensor of one element there."""
        return sample_episodes(self._pool, self.shape, count, word=word_at(self._key, step))


def gather_episodes(bank: ImageBank, indices: EpisodeIndices) -> EpisodeBatch:
    """Gather the images of episodes from the bank: float32 ``[E, way, shot or query, C, H, W]``."""
    classes = indices.classes.unsqueeze(2)
    return EpisodeBatch(
        support=bank.gather(classes.expand_as(indices.support), indices.support),
        query=bank.gather(classes.expand_as(indices.query), indices.query),
        words=indices.words,
    )


def frozen_episodes(pool: ClassPool, shape: EpisodeShape, count: int, *, seed: int, stream: str) -> EpisodeIndices:
    """The episodes of step 0 of a stream, on the CPU: the same on every machine and for every algorithm.

    Raises:
        EpisodeError: if the pool has fewer classes (or characters) than ``way``, or a class fewer images than ``shot + query``.
    """
    pool.check_enough(shape)
    pool, word = pool.to("cpu"), word_at(Stream(seed, stream).key, 0)
    size = max(1, _KEYS_AT_ONCE // max(pool.characters, shape.way * pool.largest))
    starts = range(0, count, size)
    return _joined([sample_episodes(pool, shape, min(size, count - start), word=word, first=start) for start in starts])


def _joined(parts: Sequence[EpisodeIndices]) -> EpisodeIndices:
    """Join the episodes of all parts in order."""
    return EpisodeIndices(
        classes=torch.cat([part.classes for part in parts]),
        support=torch.cat([part.support for part in parts]),
        query=torch.cat([part.query for part in parts]),
        words=torch.cat([part.words for part in parts]),
    )
