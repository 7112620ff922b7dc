"""Episodes as commit 3b468da drew and gathered them, word for word but for what a training step does not need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape

_KEY_RANGE = 2**62
_ROTATIONS = 4


def generator_at(seed: int, stream: str, position: int = 0) -> torch.Generator:
    """A generator that stands at the start of one position of a named stream."""
    text = f"{seed}/{stream}/{position}".encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1)


@dataclass(frozen=True)
class EpisodeSampler:
    """Endless episodes of one shape from one bank."""

    bank: ImageBank
    shape: EpisodeShape
    seed: int
    stream: str

    def batch(self, step: int, count: int = 1) -> EpisodeBatch:
        """The ``count`` episodes of ``step``, as images."""
        sizes = self.bank.sizes.repeat_interleave(self.bank.turns)
        classes, images = sample_episodes(sizes, self.shape, count, generator=generator_at(self.seed, self.stream, step))
        support, query = images[..., : self.shape.shot], images[..., self.shape.shot :]
        classes = classes.unsqueeze(2)
        return EpisodeBatch(
            support=gather(self.bank, classes.expand_as(support), support),
            query=gather(self.bank, classes.expand_as(query), query),
        )


def sample_episodes(
    class_sizes: torch.Tensor, shape: EpisodeShape, count: int, *, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes int64 ``[count, way]`` and images of them ``[count, way, shot + query]``, drawn without replacement."""
    check_enough(class_sizes, shape)
    class_keys = torch.randint(_KEY_RANGE, (count, len(class_sizes)), generator=generator)
    classes = class_keys.topk(shape.way, dim=1).indices
    sizes = class_sizes[classes]
    image_keys = torch.randint(_KEY_RANGE, (count, shape.way, int(class_sizes.max())), generator=generator)
    beyond = torch.arange(image_keys.shape[2]) >= sizes.unsqueeze(2)
    return classes, image_keys.masked_fill(beyond, -1).topk(shape.images_per_class, dim=2).indices


def check_enough(class_sizes: torch.Tensor, shape: EpisodeShape) -> None:
    """Raises ValueError if there are fewer classes than ``way``, or a class has fewer images than ``shot + query``."""
    if len(class_sizes) < shape.way or int(class_sizes.min()) < shape.images_per_class:
        raise ValueError(f"{shape} need more classes or images than there are")


def gather(bank: ImageBank, class_index: torch.Tensor, image_index: torch.Tensor) -> torch.Tensor:
    """The named images, each turned as its class says and normalised as the bank is: float32 ``[..., C, H, W]``."""
    base, turn = class_index // bank.turns, class_index % bank.turns
    pixels = bank.images[(bank.starts[base] + image_index).flatten()]
    if bank.rotations:
        pixels = _turned(pixels, turn.flatten())
    pixels = pixels.to(torch.float32).div_(255).reshape(*class_index.shape, *bank.images.shape[1:])
    if bank.mean is None or bank.std is None:
        return pixels
    return pixels.sub_(bank.mean.view(-1, 1, 1)).div_(bank.std.view(-1, 1, 1))


def _turned(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Images ``[B, C, S, S]``, each turned by its own number of quarters ``[B]``."""
    height, width = images.shape[-2:]
    places = torch.arange(height * width, device=images.device).reshape(height, width)
    orders = torch.stack([torch.rot90(places, quarter).flatten() for quarter in range(_ROTATIONS)])
    source = orders[turns].unsqueeze(1).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, source).reshape(images.shape)
