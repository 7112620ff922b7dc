"""higher (github.com/facebookresearch/higher): second-order MAML as in its example, one episode at a time."""

from __future__ import annotations

import higher
import torch

from benchmarks.peers.learner import Learner, MamlLearner
from benchmarks.peers.style_learn2learn import loss_of
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.recipe import TrainingRecipe


def learner(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Learner:
    """The learner of a recipe of second-order MAML."""
    return HigherMaml(recipe, image_shape)


class HigherMaml(MamlLearner):
    """MAML by patched modules and a differentiable SGD."""

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        inner = torch.optim.SGD(self.network.parameters(), lr=self.settings.inner_lr)
        total = torch.zeros((), dtype=episodes.support.dtype)
        for support, query in zip(episodes.support, episodes.query, strict=True):
            with higher.innerloop_ctx(self.network, inner, copy_initial_weights=False) as (patched, differentiable):
                for _ in range(self.settings.adaptation_steps):
                    differentiable.step(loss_of(patched, support))
                loss = loss_of(patched, query) / len(episodes)
                loss.backward()
                total += loss.detach()
        return total
