"""easyfsl (github.com/sicara/easy-few-shot-learning): the two classifiers that we also have, trained on one episode per step."""

from __future__ import annotations

from typing import Any

import easyfsl.methods
import torch
from torch.nn import functional

from benchmarks.peers.learner import Learner, labels
from benchmarks.peers.stock_network import StockNetwork
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MatchingSettings
from fsl_core.recipe.recipe import TrainingRecipe


def learner(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Learner:
    """The learner of a recipe."""
    network = StockNetwork(recipe, image_shape)
    if isinstance(recipe.algorithm, MatchingSettings):
        return Classifier(recipe, network, easyfsl.methods.MatchingNetworks(network, feature_dimension=network.features))
    return Classifier(recipe, network, easyfsl.methods.PrototypicalNetworks(network))


class Classifier(Learner):
    """One of its classifiers around the stock network."""

    def __init__(self, recipe: TrainingRecipe, network: StockNetwork, classifier: Any) -> None:
        encoders = [part for name, part in classifier.named_children() if name not in ("backbone", "softmax")]
        super().__init__(recipe, network, *encoders)
        self.classifier = classifier
        # Its Prototypical Networks return scores, its Matching Networks log-probabilities.
        self.loss = functional.nll_loss if isinstance(recipe.algorithm, MatchingSettings) else functional.cross_entropy

    def scores(self, episodes: EpisodeBatch) -> torch.Tensor:
        """The scores ``[way * query, way]`` of an episode's query."""
        shape = episodes.shape
        self.classifier.process_support_set(episodes.support[0].flatten(0, 1), labels(shape.way, shape.shot))
        answers: torch.Tensor = self.classifier(episodes.query[0].flatten(0, 1))
        return answers

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        loss = self.loss(self.scores(episodes), labels(episodes.shape.way, episodes.shape.query))
        loss.backward()
        return loss
