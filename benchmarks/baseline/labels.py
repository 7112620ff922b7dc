"""The labels of episodes as in commit 3b468da, word for word."""

from __future__ import annotations

import torch

from fsl_core.episodes.episode import EpisodeShape


def class_labels(way: int, images: int, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of ``images`` images of each of ``way`` classes, class by class: int64 ``[way * images]``."""
    return torch.arange(way, device=device).repeat_interleave(images)


def query_labels(shape: EpisodeShape, *, device: torch.device | str = "cpu") -> torch.Tensor:
    """The labels of an episode's query images in the order of its logits: int64 ``[way * query]``."""
    return class_labels(shape.way, shape.query, device=device)
