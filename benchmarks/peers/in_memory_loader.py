"""Loads episodes image by image through torch's data loader from memory, as the peers do from files."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape

Key = tuple[int, int]


class SingleImages(Dataset[torch.Tensor]):
    """One image by class and number, as float32 in 0..1; never rotated."""

    def __init__(self, bank: ImageBank) -> None:
        self.images, self.starts = bank.images, bank.starts.tolist()

    def __getitem__(self, key: Key) -> torch.Tensor:
        return self.images[self.starts[key[0]] + key[1]].float().div(255)


class EpisodeKeys(Sampler[list[Key]]):
    """Endless episodes, each a list of images, class by class."""

    def __init__(self, sizes: list[int], shape: EpisodeShape) -> None:
        self.sizes, self.shape, self.random = sizes, shape, random.Random(0)

    def __iter__(self) -> Iterator[list[Key]]:
        while True:
            classes = self.random.sample(range(len(self.sizes)), self.shape.way)
            yield [(own, image) for own in classes for image in self._images(own)]

    def _images(self, own: int) -> list[int]:
        return self.random.sample(range(self.sizes[own]), self.shape.images_per_class)


def loaded_episodes(bank: ImageBank, shape: EpisodeShape) -> Iterator[EpisodeBatch]:
    """Endless batches of one episode, loaded in this process."""
    for images in DataLoader(SingleImages(bank), batch_sampler=EpisodeKeys(bank.sizes.tolist(), shape)):
        by_class = images.reshape(1, shape.way, shape.images_per_class, *images.shape[1:])
        yield EpisodeBatch(support=by_class[:, :, : shape.shot], query=by_class[:, :, shape.shot :])
