"""MAML's gradient, taken back one adaptation step at a time, is that of autograd through the whole unrolled adaptation."""

import itertools
from typing import Any

import pytest
import torch

from fsl_core.algorithms.algorithm import class_labels
from fsl_core.backbones.images import Images
from fsl_core.backbones.kernels import Kernels
from fsl_core.backbones.weights import Weights, part, repeated
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings, MlpSettings
from tests.fsl_core.algorithms.episodes import loss_of
from tests.fsl_core.algorithms.learners import Learner
from tests.fsl_core.pairs import Pair, episodes_of, recipe_of

POOLED = Conv4Settings(filters=4, batch_norm="batch")
SHIFT_ALONE = [
    Conv4Settings(filters=4, batch_norm="batch", batch_norm_scale=False),
    Conv4Settings(filters=4, batch_norm="batch", batch_norm_scale=False, downsampling="stride", padding="same"),
    MlpSettings(batch_norm_scale=False),
]


def scores(algorithm: Any, weights: Weights, images: torch.Tensor, kernels: Kernels) -> torch.Tensor:
    embedded, _ = algorithm.backbone.apply(part(weights, "network.0."), Images(images.flatten(1, 2)), kernels=kernels)
    return embedded @ weights["network.1.weight"].transpose(1, 2) + weights["network.1.bias"][:, None]


def unrolled_loss(learner: Learner, leaves: Weights, episodes: EpisodeBatch, kernels: Kernels) -> torch.Tensor:
    """Of the query after all adaptation steps, with every one in the graph, or at order 1 with its gradient as a constant."""
    algorithm, chosen = learner.algorithm, learner.algorithm.settings
    fast: Weights = {name: repeated(value[None], len(episodes)) for name, value in leaves.items()}
    labels = class_labels(*episodes.support.shape[1:3]).repeat(len(episodes))
    for _ in range(chosen.adaptation_steps):
        logits = scores(algorithm, fast, episodes.support, kernels).flatten(0, 1)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        images = episodes.shape.shot * (1 if chosen.inner_reduction == "sum_over_shot" else episodes.shape.way)
        names = [name for name in fast if chosen.adapt_batch_norm or "norm" not in name]
        gradients = torch.autograd.grad(losses / images, [fast[name] for name in names], create_graph=chosen.order == 2)
        fast |= {name: fast[name] - chosen.inner_lr * gradient for name, gradient in zip(names, gradients, strict=True)}
    return loss_of(scores(algorithm, fast, episodes.query, kernels), episodes)


@pytest.mark.parametrize(
    ("order", "adapts", "reduction"), list(itertools.product((1, 2), (True, False), ("mean", "sum_over_shot")))
)
@pytest.mark.parametrize("normalisation", ["fused", "plain"])
def test_the_adjoint_is_autograd(normalisation: Any, order: Any, adapts: bool, reduction: Any) -> None:
    chosen = MamlSettings(
        order=order,
        adaptation_steps=3,
        inner_lr=0.05,
        adapt_batch_norm=adapts,
        inner_reduction=reduction,
        outer_reduction=reduction,
    )
    pair, episodes, kernels = Pair.of(recipe_of(chosen, POOLED)), episodes_of(2), Kernels(normalisation=normalisation)
    leaves, factor = pair.learner.leaves(), pair.recipe.outer_loss_factor
    loss = unrolled_loss(pair.learner, leaves, episodes, kernels)
    taught = pair.learner.taught(episodes, loss_factor=factor, kernels=kernels)
    assert taught.loss.item() == pytest.approx(loss.item(), rel=1e-12)
    for name, theirs in zip(leaves, torch.autograd.grad(loss * factor, list(leaves.values())), strict=True):
        assert (taught.gradient[name][0] - theirs).abs().max() <= 1e-12 * theirs.abs().max(), name


@pytest.mark.parametrize("backbone", SHIFT_ALONE, ids=["max_pool", "stride", "mlp"])
@pytest.mark.parametrize("normalisation", ["fused", "plain"])
def test_the_second_order_needs_no_scale_of_batch_norm(backbone: BackboneSettings, normalisation: Any) -> None:
    """Which torch's own layer does: without one it cannot be differentiated twice."""
    pair, episodes = Pair.of(recipe_of(MamlSettings(order=2, adaptation_steps=2), backbone)), episodes_of(2)
    assert not [name for name in pair.learner.weights if name.endswith(("norm.weight", ".1.weight")) and "network.0" in name]
    theirs = pair.plain_gradient(episodes)
    taught = pair.learner.taught(episodes, kernels=Kernels(normalisation=normalisation))
    for name, values in taught.gradient.items():
        assert (values[0] - theirs[name]).abs().max() <= 1e-11 * theirs[name].abs().max(), name
