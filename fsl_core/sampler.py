"""Draws episodes: a whole batch of them at a time, by index, on the device that holds the images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episode import EpisodeBatch, EpisodeShape
from fsl_core.errors import EpisodeError
from fsl_core.randomness import generator_at

_KEY_RANGE = (
    2**62
)  # integer sort keys: unlike float32 ones they practically never tie, and a tie could be broken differently elsewhere


@dataclass(frozen=True)
class EpisodeIndices:
    """Which classes and images ``E`` episodes are made of.

    ``classes``: int64 ``[E, way]``, distinct in each episode. ``support``: int64 ``[E, way, shot]`` and ``query``: int64
    ``[E, way, query]`` number the images within their class; together they are distinct.
    """

    classes: torch.Tensor
    support: torch.Tensor
    query: torch.Tensor

    @property
    def shape(self) -> EpisodeShape:
        """The shape that every episode has."""
        return EpisodeShape(way=self.support.shape[1], shot=self.support.shape[2], query=self.query.shape[2])

    def __len__(self) -> int:
        return int(self.classes.shape[0])

    def parts(self, size: int) -> Iterator[EpisodeIndices]:
        """The same episodes in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield EpisodeIndices(classes=self.classes[part], support=self.support[part], query=self.query[part])

    def to(self, device: torch.device | str) -> EpisodeIndices:
        """The same episodes on ``device``."""
        return EpisodeIndices(classes=self.classes.to(device), support=self.support.to(device), query=self.query.to(device))

    def digest(self) -> str:
        """The SHA-256 of the indices: equal digests are equal episodes."""
        digest = hashlib.sha256()
        for part in (self.classes, self.support, self.query):
            digest.update(repr(tuple(part.shape)).encode())
            digest.update(part.cpu().contiguous().numpy().astype("<i8").tobytes())
        return digest.hexdigest()


def draw_episodes(class_sizes: torch.Tensor, shape: EpisodeShape, count: int, *, generator: torch.Generator) -> EpisodeIndices:
    """Draw ``count`` episodes uniformly: classes without replacement, then images of each class without replacement.

    Args:
        class_sizes: int64 ``[classes]``, how many images each class has, on the generator's device.
        shape: the shape of every episode.
        count: how many episodes, ``E``.
        generator: the source of randomness.

    Raises:
        EpisodeError: if there are fewer classes than ``way``, or a class has fewer images than ``shot + query``.
    """
    check_enough(class_sizes, shape)
    device = class_sizes.device
    class_keys = torch.randint(_KEY_RANGE, (count, len(class_sizes)), generator=generator, device=device)
    classes = class_keys.topk(shape.way, dim=1).indices
    sizes = class_sizes[classes]
    image_keys = torch.randint(_KEY_RANGE, (count, shape.way, int(class_sizes.max())), generator=generator, device=device)
    beyond = torch.arange(image_keys.shape[2], device=device) >= sizes.unsqueeze(2)
    images = image_keys.masked_fill(beyond, -1).topk(shape.images_per_class, dim=2).indices
    return EpisodeIndices(classes=classes, support=images[..., : shape.shot], query=images[..., shape.shot :])


def check_enough(class_sizes: torch.Tensor, shape: EpisodeShape) -> None:
    """Raises EpisodeError unless episodes of ``shape`` can be drawn from classes of these sizes, int64 ``[classes]``."""
    if len(class_sizes) < shape.way:
        raise EpisodeError(f"way is {shape.way}, but there are only {len(class_sizes)} classes to draw from")
    smallest = int(class_sizes.min())
    if smallest < shape.images_per_class:
        raise EpisodeError(
            f"shot {shape.shot} + query {shape.query} need {shape.images_per_class} images a class; the smallest class has {smallest}"
        )


@dataclass(frozen=True)
class EpisodeSampler:
    """Endless episodes of one shape from one bank: the batch of a step is a function of (seed, stream, step) and of nothing else."""

    bank: ImageBank
    shape: EpisodeShape
    seed: int
    stream: str

    def batch(self, step: int, count: int = 1) -> EpisodeBatch:
        """The ``count`` episodes of ``step``, as images on the bank's device."""
        return gather_episodes(self.bank, self.indices(step, count))

    def indices(self, step: int, count: int = 1) -> EpisodeIndices:
        """The ``count`` episodes of ``step``, as indices on the bank's device."""
        sizes = self.bank.class_sizes
        generator = generator_at(self.seed, self.stream, step, device=sizes.device)
        return draw_episodes(sizes, self.shape, count, generator=generator)


def gather_episodes(bank: ImageBank, indices: EpisodeIndices) -> EpisodeBatch:
    """The images of the drawn episodes: float32 ``[E, way, shot or query, C, H, W]``, as the bank gathers them."""
    classes = indices.classes.unsqueeze(2)
    return EpisodeBatch(
        support=bank.gather(classes.expand_as(indices.support), indices.support),
        query=bank.gather(classes.expand_as(indices.query), indices.query),
    )


def frozen_episodes(class_sizes: torch.Tensor, shape: EpisodeShape, count: int, *, seed: int, stream: str) -> EpisodeIndices:
    """Episodes drawn on the CPU from their own seed, hence the same on every machine and for every algorithm."""
    return draw_episodes(class_sizes.cpu(), shape, count, generator=generator_at(seed, stream))
