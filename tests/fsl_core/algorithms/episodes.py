"""Random episodes and the agreement that the proofs ask for."""

from collections.abc import Sequence

import torch

from fsl_core.algorithms.algorithm import query_labels
from fsl_core.episodes.episode import EpisodeBatch


def embedded_episodes(way: int, shot: int, query: int, seed: int, *, episodes: int = 2, features: int = 7) -> EpisodeBatch:
    """Episodes of normal float64 embeddings."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda images: torch.randn(episodes, way, images, features, generator=generator, dtype=torch.float64)  # noqa: E731
    return EpisodeBatch(support=draw(shot), query=draw(query))


def image_episodes(
    way: int, shot: int, query: int, *, episodes: int = 2, seed: int = 0, size: int = 28, dtype: torch.dtype = torch.float32
) -> EpisodeBatch:
    """Episodes of uniform noise."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda count: torch.rand(episodes, way, count, 1, size, size, generator=generator, dtype=dtype)  # noqa: E731
    return EpisodeBatch(support=draw(shot), query=draw(query))


def loss_of(logits: torch.Tensor, episodes: EpisodeBatch) -> torch.Tensor:
    """The mean cross-entropy of query scores ``[E, way * query, way]``."""
    labels = query_labels(episodes.shape).repeat(len(episodes))
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels)


def assert_gradients_agree(
    ours: torch.Tensor, theirs: torch.Tensor, leaves: Sequence[torch.Tensor], tolerance: float = 1e-10
) -> None:
    """The gradients of two losses agree to ``tolerance`` of each tensor's largest entry."""
    pairs = zip(*(torch.autograd.grad(loss, leaves) for loss in (ours, theirs)), leaves, strict=True)
    for mine, reference, leaf in pairs:
        assert mine.shape == leaf.shape
        assert (mine - reference).abs().max() <= tolerance * reference.abs().max()
