"""All images of a class split in one uint8 array, class by class, gathered by index."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from fsl_core.episodes.class_pool import ClassPool

ROTATIONS = 4
"""A class and its rotations by 90, 180 and 270 degrees."""


@dataclass(frozen=True, eq=False)
class ImageBank:
    """Images of one class split.

    ``images``: uint8 ``[total, C, H, W]``, ink or intensity in 0..255; may be a memory-mapped view shared by several banks.
    ``starts`` and ``sizes``: int64 ``[base classes]``; base class ``b`` owns ``images[starts[b] : starts[b] + sizes[b]]``. With
    ``rotations`` every base class counts as four: class ``4 * b + r`` is base class ``b`` rotated by ``r`` times 90 degrees; the
    rotated images are not stored. ``mean`` and ``std``: float32 ``[C]``, both or neither; gathered images are ``(x - mean) / std``, which
    normalises them or, by 1 and -1, inverts them.

    Raises:
        ValueError: if only one of ``mean`` and ``std`` is given, or one has not one value per channel.
    """

    images: torch.Tensor
    starts: torch.Tensor
    sizes: torch.Tensor
    class_names: tuple[str, ...]
    rotations: bool
    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std must be given together")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and values.shape != self.images.shape[1:2]:
                raise ValueError(
                    f"{name} has shape {tuple(values.shape)}; it needs one value for each of {self.images.shape[1]} channels"
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def turns(self) -> int:
        """The number of classes per base class."""
        return ROTATIONS if self.rotations else 1

    @property
    def class_sizes(self) -> torch.Tensor:
        """The number of images in each class: int64 ``[classes]``."""
        return self.sizes.repeat_interleave(self.turns)

    def pool(self, *, distinct_characters: bool) -> ClassPool:
        """The classes that episodes sample from; with ``distinct_characters`` no episode has two rotations of one base class."""
        return ClassPool(self.class_sizes, self.turns if distinct_characters else 1)

    def gather(self, class_index: torch.Tensor, image_index: torch.Tensor) -> torch.Tensor:
        """The images at these indices, each rotated as its class requires: float32 ``[..., C, H, W]``.

        They are in 0..1 or, if the bank has ``mean`` and ``std``, normalised or inverted by channel.
        """
        pixels = self.pixels(class_index, image_index)
        if self.mean is None or self.std is None:
            return pixels
        return pixels.sub_(self.mean.view(-1, 1, 1)).div_(self.std.view(-1, 1, 1))

    def pixels(self, class_index: torch.Tensor, image_index: torch.Tensor) -> torch.Tensor:
        """The images at these indices, not normalised: float32 ``[..., C, H, W]`` in 0..1.

        ``class_index`` and ``image_index`` are int64 tensors of one shape ``[...]`` on the bank's device; the second numbers the
        images within their class.
        """
        base, turn = class_index // self.turns, class_index % self.turns
        pixels = self.images[(self.starts[base] + image_index).flatten()]
        if self.rotations:
            pixels = _turned(pixels, turn.flatten())
        return pixels.to(torch.float32).div_(255).reshape(*class_index.shape, *self.images.shape[1:])

    def to(self, device: torch.device | str) -> ImageBank:
        """The same bank on ``device``; a bank that moves copies the images of its own classes only."""
        if torch.device(device) == self.images.device:
            return self
        return replace(
            self,
            images=self._own_images(device),
            starts=(self.sizes.cumsum(0) - self.sizes).to(device),
            sizes=self.sizes.to(device),
            mean=None if self.mean is None else self.mean.to(device),
            std=None if self.std is None else self.std.to(device),
        )

    def _own_images(self, device: torch.device | str) -> torch.Tensor:
        """The images of the bank's classes in order, copied class by class: a mapped array is read once, with no second copy in memory."""
        sizes = self.sizes.tolist()
        images = torch.empty(sum(sizes), *self.image_shape, dtype=self.images.dtype, device=device)
        for place, start, size in zip(torch.split(images, sizes), self.starts.tolist(), sizes, strict=True):
            place.copy_(self.images[start : start + size])
        return images


def _turned(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Rotate images ``[B, C, S, S]``, each by its own number of quarters ``[B]``."""
    height, width = images.shape[-2:]
    places = torch.arange(height * width, device=images.device).reshape(height, width)
    orders = torch.stack([torch.rot90(places, quarter).flatten() for quarter in range(ROTATIONS)])
    source = orders[turns].unsqueeze(1).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, source).reshape(images.shape)


def join(first: ImageBank, second: ImageBank) -> ImageBank:
    """Join two banks, the classes of ``first`` before those of ``second``; banks that share one array keep sharing it.

    Raises:
        ValueError: if only one has rotations, or the two are normalised differently.
    """
    if first.rotations != second.rotations:
        raise ValueError("a bank with rotations cannot be joined to one without")
    if not (_alike(first.mean, second.mean) and _alike(first.std, second.std)):
        raise ValueError("banks of different mean or std cannot be joined")
    shared = first.images is second.images
    images = first.images if shared else torch.cat([first.images, second.images])
    starts = torch.cat([first.starts, second.starts if shared else second.starts + len(first.images)])
    sizes = torch.cat([first.sizes, second.sizes])
    return replace(first, images=images, starts=starts, sizes=sizes, class_names=first.class_names + second.class_names)


def _alike(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    return first is second or (first is not None and second is not None and first.equal(second))
