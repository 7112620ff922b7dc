"""A backbone with a linear layer behind it: the network that MAML and its relatives adapt to an episode."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from fsl_core.backbones.backbone import Backbone
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights, part, prefixed
from fsl_core.randomness import Stream

BACKBONE, HEAD, HEAD_BIAS = "network.0.", "network.1.weight", "network.1.bias"


class Classifier:
    """The backbone and a linear layer with an output for each of ``way`` classes.

    BatchNorm sees one batch at a time, and normalises by its statistics unless others are given. No running statistics are kept.
    """

    def __init__(self, backbone: Backbone, *, way: int) -> None:
        self.backbone = backbone
        self.way = way

    def initial_weights(self, stream: Stream) -> Weights:
        """The first weights, without a group axis."""
        head = self.backbone.initial_head(self.way, stream.within("head"))
        backbone = prefixed(self.backbone.initial_weights(stream.within("backbone")), BACKBONE)
        return {**backbone, HEAD: head["weight"], HEAD_BIAS: head["bias"]}

    def embed(
        self, weights: Mapping[str, torch.Tensor], images: Images, kernels: Kernels, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, Statistics]:
        """The images of each group to embeddings ``[G, B, D]``, and the statistics that BatchNorm normalised by."""
        return self.backbone.apply(part(weights, BACKBONE), images, kernels=kernels, statistics=statistics)

    def scores(
        self, weights: Mapping[str, torch.Tensor], images: Images, kernels: Kernels, statistics: Statistics | None = None
    ) -> tuple[torch.Tensor, Statistics]:
        """The images of each group to scores ``[G, B, way]``, and the statistics that BatchNorm normalised by."""
        embedded, used = self.embed(weights, images, kernels, statistics)
        return head_scores(weights, embedded), used

    @torch.no_grad()
    def answers(
        self, weights: Mapping[str, torch.Tensor], query: Images, kernels: Kernels, *, support: Images | None = None
    ) -> torch.Tensor:
        """The scores ``[G, B, way]`` of the query; by BatchNorm's statistics of the support, if it is given."""
        statistics = None if support is None else self.embed(weights, support, kernels)[1]
        return self.scores(weights, query, kernels, statistics)[0]


def head_scores(weights: Mapping[str, torch.Tensor], embedded: torch.Tensor) -> torch.Tensor:
    """Embeddings ``[G, B, D]`` to scores ``[G, B, way]`` by the linear layer of each group."""
    return torch.baddbmm(weights[HEAD_BIAS].unsqueeze(1), embedded, weights[HEAD].transpose(1, 2))
