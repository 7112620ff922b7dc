"""Prototypical Networks. Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NIPS 2017 (arXiv 1703.05175)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fsl_core.algorithms.metric import MetricNetworks, similarity
from fsl_core.backbones.backbone import Backbone
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import PrototypicalSettings


class PrototypicalNetworks(MetricNetworks):
    """Represents each class by its prototype, the mean of its support embeddings; scores a query by its negative distance to each.

    With ``squared_euclidean`` the logits are ``-scale * ||f(x) - c||^2`` (equations 1 and 2 of the paper, scale 1); with ``cosine``
    they are ``scale * cos(f(x), c)``. The distance is the *squared* one: the plain one trains differently (section 2.3).
    """

    def __init__(self, backbone: Backbone, settings: PrototypicalSettings) -> None:
        super().__init__(backbone)
        self.settings = settings

    def logits(self, weights: Mapping[str, torch.Tensor], embedded: EpisodeBatch) -> torch.Tensor:
        """The query logits ``[S * E, way * query, way]`` of embedded episodes."""
        prototypes = embedded.support.mean(dim=2)
        query = embedded.query.flatten(1, 2)
        return self.settings.scale * similarity(self.settings.distance, query, prototypes)
