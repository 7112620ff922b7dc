"""Prototypical Networks as in commit 3b468da, word for word."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.baseline.metric import MetricNetworks, similarity
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import PrototypicalSettings


class PrototypicalNetworks(MetricNetworks):
    """Each class is the mean of its support embeddings; a query is scored by its negative distance to each mean.

    With ``squared_euclidean`` the logits are ``-scale * ||f(x) - c||^2`` (equations 1 and 2 of the paper, scale 1); with ``cosine``
    they are ``scale * cos(f(x), c)``. The distance is the *squared* one: the plain one trains differently (section 2.3).
    """

    def __init__(self, backbone: nn.Module, settings: PrototypicalSettings) -> None:
        super().__init__(backbone)
        self.settings = settings

    def logits(self, embedded: EpisodeBatch) -> torch.Tensor:
        """Query scores ``[E, way * query, way]`` of episodes of embeddings."""
        prototypes = embedded.support.mean(dim=2)
        query = embedded.query.flatten(1, 2)
        return self.settings.scale * similarity(self.settings.distance, query, prototypes)
