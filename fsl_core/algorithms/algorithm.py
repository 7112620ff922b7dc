"""What the episode loop asks of an algorithm."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from fsl_core.episode import EpisodeBatch, EpisodeShape


@runtime_checkable
class Algorithm(Protocol):
    """A learner of episodes; concretely a :class:`torch.nn.Module`, whose state is what a checkpoint saves.

    Training calls :meth:`training_logits` on batches of images. Scoring calls :meth:`embed` once on every image that the frozen
    episodes need and then :meth:`logits` on episodes of what it gave: an image's embedding does not depend on its episode. An
    algorithm for which it does returns the images themselves from :meth:`embed`.
    """

    def training_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Scores of the query images of episodes of images, differentiable: ``[E, way * query, way]``."""
        ...

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """What scoring needs of single images: ``[B, C, H, W]`` to ``[B, ...]``."""
        ...

    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Scores of the query images of episodes of :meth:`embed` outputs: ``[E, way * query, way]``."""
        ...


def query_labels(shape: EpisodeShape, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of an episode's query images in the order of its logits: int64 ``[way * query]``, class by class."""
    return torch.arange(shape.way, device=device).repeat_interleave(shape.query)
