"""A stand-in for the 2018 reproduction (github.com/oscarknagg/few-shot), which no longer runs: our code in its style.

Stock modules for the metric networks; for MAML a functional forward pass, a Python loop over the episodes, and what that code does twice:
each episode's loss is differentiated to the first weights and to the fast ones, before the meta-batch's is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers.learner import Learner, MamlLearner, labels
from benchmarks.peers.stock_network import StockNetwork
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings
from fsl_core.recipe.recipe import TrainingRecipe

_EPSILON = 1e-8
Weights = Mapping[str, torch.Tensor]


def learner(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Learner:
    """The learner of a recipe."""
    if isinstance(recipe.algorithm, MamlSettings):
        return FunctionalMaml(recipe, image_shape)
    if isinstance(recipe.algorithm, MatchingSettings):
        return Matching(recipe, image_shape, recipe.algorithm)
    return Prototypical(recipe, StockNetwork(recipe, image_shape))


class Prototypical(Learner):
    """Prototypical Networks by expanded differences."""

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        shape = episodes.shape
        support, query = embedded(self.network, episodes)
        prototypes = support.reshape(shape.way, shape.shot, -1).mean(dim=1)
        pairs = query.unsqueeze(1).expand(-1, shape.way, -1) - prototypes.unsqueeze(0).expand(len(query), -1, -1)
        log_p = (-pairs.pow(2).sum(dim=2)).log_softmax(dim=1)
        loss = functional.nll_loss(log_p, labels(shape.way, shape.query))
        loss.backward()
        return loss


class Matching(Learner):
    """Matching Networks with cosines, clamped probabilities, and its own form of full context embeddings."""

    def __init__(self, recipe: TrainingRecipe, image_shape: tuple[int, int, int], settings: MatchingSettings) -> None:
        network = StockNetwork(recipe, image_shape)
        self.settings = settings
        self.support_lstm = nn.LSTM(network.features, network.features, bidirectional=True)
        self.query_cell = nn.LSTMCell(network.features, network.features)
        super().__init__(recipe, network, *([self.support_lstm, self.query_cell] if settings.fce else []))

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        shape = episodes.shape
        support, query = embedded(self.network, episodes)
        if self.settings.fce:
            support = self._read_support(support)
            query = self._read_query(query, support)
        attention = (-self._cosine_distances(query, support)).softmax(dim=1)
        one_hot = torch.zeros(len(support), shape.way, dtype=query.dtype)
        one_hot = one_hot.scatter(1, labels(shape.way, shape.shot).unsqueeze(1), 1)
        predicted = torch.mm(attention, one_hot).clamp(_EPSILON, 1 - _EPSILON)
        loss = functional.nll_loss(predicted.log(), labels(shape.way, shape.query))
        loss.backward()
        return loss

    def _cosine_distances(self, query: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
        left = query / (query.pow(2).sum(dim=1, keepdim=True).sqrt() + _EPSILON)
        right = support / (support.pow(2).sum(dim=1, keepdim=True).sqrt() + _EPSILON)
        size = (len(query), len(support), -1)
        return 1 - (left.unsqueeze(1).expand(size) * right.unsqueeze(0).expand(size)).sum(dim=2)

    def _read_support(self, support: torch.Tensor) -> torch.Tensor:
        states = self.support_lstm(support.unsqueeze(1))[0].squeeze(1)
        forwards, backwards = states.chunk(2, dim=1)
        read: torch.Tensor = forwards + backwards + support
        return read

    def _read_query(self, query: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
        output, cell = torch.zeros_like(query), torch.zeros_like(query)
        for _ in range(self.settings.reading_steps or 0):
            state = output + query
            read = torch.mm(torch.mm(state, support.t()).softmax(dim=1), support)
            output, cell = self.query_cell(query, (state + read, cell))
        return output + query


class FunctionalMaml(MamlLearner):
    """MAML by a functional forward pass, one episode at a time."""

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        losses, gradients = [], []
        for support, query in zip(episodes.support, episodes.query, strict=True):
            loss, gradient = self._episode(support, query)
            losses.append(loss)
            gradients.append(gradient)
        self.optimiser.zero_grad()
        mean = torch.stack(losses).mean()
        if self.settings.order == 2:
            mean.backward()
        else:
            self._replace_gradients(gradients, episodes)
        return mean

    def _episode(self, support: torch.Tensor, query: torch.Tensor) -> tuple[torch.Tensor, Weights]:
        second = self.settings.order == 2
        weights: Weights = dict(self.network.named_parameters())
        for _ in range(self.settings.adaptation_steps):
            loss = self._loss(weights, support)
            steps = zip(weights.items(), torch.autograd.grad(loss, list(weights.values()), create_graph=second), strict=True)
            weights = {name: weight - self.settings.inner_lr * gradient for (name, weight), gradient in steps}
        loss = self._loss(weights, query)
        loss.backward(retain_graph=True)
        gradient = torch.autograd.grad(loss, list(weights.values()), create_graph=second)
        return loss, dict(zip(weights, gradient, strict=True))

    def _replace_gradients(self, gradients: list[Weights], episodes: EpisodeBatch) -> None:
        """Compute a gradient on blank images, which hooks replace by the mean of the episodes' gradients."""
        means = {name: torch.stack([each[name] for each in gradients]).mean(dim=0) for name in gradients[0]}
        named = self.network.named_parameters()
        hooks = [weight.register_hook(lambda _, name=name: means[name]) for name, weight in named]
        way = self.recipe.episode.way
        blank = torch.zeros(way, *episodes.support.shape[-3:], dtype=episodes.support.dtype)
        functional.cross_entropy(self.network(blank), labels(way, 1)).backward()
        for hook in hooks:
            hook.remove()

    def _loss(self, weights: Weights, images: torch.Tensor) -> torch.Tensor:
        way, count = images.shape[:2]
        maps = images.flatten(0, 1)
        for block in range(4):
            name = f"blocks.{block}"
            maps = functional.conv2d(maps, weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"], padding=1)
            scale, shift = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
            maps = functional.batch_norm(maps, None, None, weight=scale, bias=shift, training=True)
            maps = functional.max_pool2d(functional.relu(maps), kernel_size=2, stride=2)
        logits = functional.linear(maps.flatten(1), weights["head.weight"], weights["head.bias"])
        return functional.cross_entropy(logits, labels(way, count))


def embedded(network: nn.Module, episodes: EpisodeBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Embed the support and query of an episode together."""
    support, query = episodes.support[0].flatten(0, 1), episodes.query[0].flatten(0, 1)
    answers = network(torch.cat([support, query]))
    return answers[: len(support)], answers[len(support) :]
