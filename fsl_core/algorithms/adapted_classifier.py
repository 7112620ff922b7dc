"""What the algorithms that adapt a classifier to each episode share: its first weights, and that no running statistics are kept.

Settings are read from the same files as the algorithms, so nothing here imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsl_core.algorithms.classifier import Classifier
    from fsl_core.backbones.weights import Weights
    from fsl_core.randomness import Stream


class AdaptedClassifier:
    """The base of MAML, ANIL and Reptile: ``network`` is adapted to each episode from the same first weights."""

    def __init__(self, network: Classifier) -> None:
        self.network = network

    def initial_weights(self, stream: Stream) -> Weights:
        """The first weights, without a group axis."""
        return self.network.initial_weights(stream)

    def initial_statistics(self) -> Weights:
        """None are kept."""
        return {}
