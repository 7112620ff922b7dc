"""torchopt (github.com/metaopt/torchopt): second-order MAML as in its example, one backward pass for all episodes."""

from __future__ import annotations

import torch
import torchopt

from benchmarks.peers.learner import Learner, MamlLearner
from benchmarks.peers.style_learn2learn import loss_of
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.recipe.recipe import TrainingRecipe


def learner(recipe: TrainingRecipe, image_shape: tuple[int, int, int]) -> Learner:
    """The learner of a recipe of second-order MAML."""
    return TorchoptMaml(recipe, image_shape)


class TorchoptMaml(MamlLearner):
    """MAML by a differentiable SGD that replaces the module's weights; they are restored after each episode."""

    def backward(self, episodes: EpisodeBatch) -> torch.Tensor:
        """See :meth:`Learner.backward`."""
        inner = torchopt.MetaSGD(self.network, lr=self.settings.inner_lr)
        first = torchopt.extract_state_dict(self.network, by="reference", detach_buffers=True)
        first_inner = torchopt.extract_state_dict(inner, by="reference")
        losses = []
        for support, query in zip(episodes.support, episodes.query, strict=True):
            for _ in range(self.settings.adaptation_steps):
                inner.step(loss_of(self.network, support))
            losses.append(loss_of(self.network, query))
            torchopt.recover_state_dict(self.network, first)
            torchopt.recover_state_dict(inner, first_inner)
        mean = torch.stack(losses).mean()
        mean.backward()
        return mean
