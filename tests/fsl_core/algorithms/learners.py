"""An algorithm together with one set of weights, and the smallest of backbones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fsl_core.algorithms.algorithm import MetaGradient
from fsl_core.algorithms.maml import Maml
from fsl_core.algorithms.metric import MetricNetworks
from fsl_core.backbones.images import Images
from fsl_core.backbones.initialisation import initial_linear
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Statistics, Weights, of_group, one_group
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import OptimiserSettings
from fsl_core.training.adam import Adam
from fsl_core.training.state import TrainingState, start_training


@dataclass(frozen=True)
class AsTheyAre:
    """A backbone without weights: an image's embedding is its values."""

    features: int
    norms: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def initial_weights(self, stream: Stream) -> Weights:
        return {}

    def initial_head(self, outputs: int, stream: Stream) -> Weights:
        return initial_linear(outputs, self.features, stream)

    def apply(
        self,
        weights: Mapping[str, torch.Tensor],
        images: Images,
        *,
        kernels: Kernels,
        statistics: Statistics | None = None,
    ) -> tuple[torch.Tensor, Statistics]:
        return images.pixels.flatten(2), {}


@dataclass(frozen=True)
class Learner:
    """An algorithm, and weights that it is asked at: ``[1, ...]``, or of several seeds."""

    algorithm: Any
    weights: Weights

    @staticmethod
    def of(algorithm: Maml | MetricNetworks, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Learner:
        """With the first weights of a seed."""
        first = algorithm.initial_weights(Stream(seed, "weights"))
        return Learner(algorithm, one_group({name: value.to(dtype) for name, value in first.items()}))

    def having(self, **changes: torch.Tensor) -> Learner:
        """The same with some weights replaced, which are given without a group axis."""
        return Learner(self.algorithm, {**self.weights, **one_group(changes)})

    def leaves(self) -> Weights:
        """Copies of the weights without the group axis, that a reference can be differentiated in."""
        return {name: value.clone().requires_grad_() for name, value in of_group(self.weights, 0).items()}

    def taught(self, episodes: EpisodeBatch, *, loss_factor: float = 1.0, kernels: Kernels | None = None) -> MetaGradient:
        """What the episodes teach."""
        chosen = Kernels() if kernels is None else kernels
        taught: MetaGradient = self.algorithm.meta_gradient(self.weights, episodes, loss_factor=loss_factor, kernels=chosen)
        return taught

    def embedded_logits(self, episodes: EpisodeBatch) -> torch.Tensor:
        """Query scores of episodes of embeddings, by an algorithm that compares them."""
        logits: torch.Tensor = self.algorithm.logits(self.weights, episodes)
        return logits

    def adapted_logits(
        self, episodes: EpisodeBatch, steps: int | None = None, *, kernels: Kernels | None = None, inductive: bool = False
    ) -> torch.Tensor:
        """Query scores by an algorithm that adapts, after as many steps as in training unless ``steps`` says otherwise."""
        wanted = (self.algorithm.settings.adaptation_steps if steps is None else steps,)
        chosen = Kernels() if kernels is None else kernels
        logits = self.algorithm.logits_after(self.weights, episodes, wanted, kernels=chosen, inductive=inductive)
        answer: torch.Tensor = logits[0]
        return answer

    def training(self, settings: OptimiserSettings) -> TrainingState:
        """A training that begins at these weights, in their type, with a seed for each of their groups."""
        groups = len(next(iter(self.weights.values())))
        begun = start_training(self.algorithm, settings, streams=[Stream(0, "unused")] * groups)
        return with_weights(begun, self.weights)


def with_weights(begun: TrainingState, weights: Weights) -> TrainingState:
    """A training before its first step, from other weights ``[S, ...]``, whose type and layout its state then has."""
    values = next(iter(weights.values()))
    own = {name: value.detach().clone() for name, value in weights.items()}
    adam = begun.optimiser
    optimiser = None if adam is None else Adam.of(own, float(adam.rate))
    statistics = {name: value.to(values) for name, value in begun.statistics.items()}
    sums = {name: getattr(begun, name).to(values.device) for name in ("interval_loss", "interval_accuracy", "clock")}
    return dataclasses.replace(begun, weights=own, statistics=statistics, optimiser=optimiser, **sums)


def first_gradient(state: TrainingState) -> Weights:
    """The gradient ``[S, ...]`` that Adam descended in its first step, after which its first moment is a tenth of it."""
    return {name: moment / (1 - 0.9) for name, moment in state.moments()["exp_avg"].items()}


def assert_teaches(taught: MetaGradient, loss: torch.Tensor, leaves: Weights, tolerance: float = 1e-10) -> None:
    """The gradient and loss of one group are those of a reference's ``loss``, to ``tolerance`` of each tensor's largest entry."""
    torch.testing.assert_close(taught.loss[0], loss.detach(), rtol=tolerance, atol=tolerance)
    assert taught.gradient.keys() == leaves.keys()
    for name, reference in zip(leaves, torch.autograd.grad(loss, list(leaves.values()), retain_graph=True), strict=True):
        mine = taught.gradient[name][0]
        assert mine.shape == reference.shape
        assert (mine - reference).abs().max() <= tolerance * reference.abs().max(), name
