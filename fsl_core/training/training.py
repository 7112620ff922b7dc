"""The one training loop: draw an episode, score its queries, step; watch meta-validation; keep the best.

Everything that the loop knows between two steps is in :class:`TrainingState`, which can be written and read back at any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from fsl_core.algorithms.algorithm import Algorithm, query_labels
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.episode import EpisodeBatch
from fsl_core.episodes.evaluation import score_episodes
from fsl_core.episodes.sampler import EpisodeIndices, EpisodeSampler
from fsl_core.recipe.recipe import OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.model_selection import ValidationScore, selects

Curves = dict[str, list[tuple[int, float]]]


@dataclass
class TrainingState:
    """Where a training stands after ``step`` steps; the one mutable value of this library.

    ``interval_loss`` and ``interval_accuracy`` are float64 sums over the steps since the last point of the curves; they stay on the
    device, because reading them out in every step would make the loop wait for it. What ``best_`` begins is of the weights selected so
    far, and None before there are any.
    """

    algorithm: nn.Module
    optimiser: torch.optim.Optimizer
    interval_loss: torch.Tensor
    interval_accuracy: torch.Tensor
    step: int = 0
    best_step: int | None = None
    best_loss: float | None = None
    best_accuracy: float | None = None
    best_weights: dict[str, torch.Tensor] | None = None
    stopped_by: str | None = None
    curves: Curves = field(default_factory=dict)

    def as_checkpoint(self) -> dict[str, Any]:
        """This state as values that a checkpoint can hold."""
        plain = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        return {**plain, "algorithm": self.algorithm.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Become the state that :meth:`as_checkpoint` wrote."""
        self.algorithm.load_state_dict(checkpoint["algorithm"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        for name in _PLAIN_FIELDS:
            setattr(self, name, checkpoint[name])
        device = next(self.algorithm.parameters()).device
        self.interval_loss, self.interval_accuracy = self.interval_loss.to(device), self.interval_accuracy.to(device)
        self.curves = {name: [(int(step), float(value)) for step, value in curve] for name, curve in self.curves.items()}

    def record(self, name: str, value: float) -> None:
        """Add the point of the present step to a curve."""
        self.curves.setdefault(name, []).append((self.step, value))

    @property
    def best(self) -> ValidationScore | None:
        """What meta-validation showed of the weights selected so far."""
        if self.best_loss is None or self.best_accuracy is None:
            return None
        return ValidationScore(loss=self.best_loss, accuracy=self.best_accuracy)

    def select(self, score: ValidationScore) -> None:
        """Keep a copy of the present weights, which meta-validation scored so."""
        self.best_step, self.best_loss, self.best_accuracy = self.step, score.loss, score.accuracy
        self.best_weights = {name: tensor.detach().clone() for name, tensor in self.algorithm.state_dict().items()}


_PLAIN_FIELDS = (
    "interval_loss",
    "interval_accuracy",
    "step",
    "best_step",
    "best_loss",
    "best_accuracy",
    "best_weights",
    "stopped_by",
    "curves",
)


def start_training(algorithm: nn.Module, settings: OptimiserSettings) -> TrainingState:
    """The state before the first step."""
    parameters = list(algorithm.parameters())
    zero = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
    optimiser = torch.optim.Adam(parameters, lr=settings.outer_lr, fused=True)
    return TrainingState(algorithm=algorithm, optimiser=optimiser, interval_loss=zero, interval_accuracy=zero.clone())


def outer_lr_at(settings: OptimiserSettings, step: int) -> float:
    """The learning rate of the step that follows ``step`` finished ones."""
    if settings.halve_every is None:
        return settings.outer_lr
    first = settings.halve_every if settings.first_halving is None else settings.first_halving
    return settings.outer_lr * 0.5 ** (0 if step < first else 1 + (step - first) // settings.halve_every)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What model selection watches: frozen episodes of meta-validation classes."""

    bank: ImageBank
    episodes: EpisodeIndices
    settings: ValidationSettings

    def score(self, algorithm: nn.Module) -> ValidationScore:
        """The mean loss and accuracy over the queries of the frozen episodes."""
        steps = self.settings.adaptation_steps
        scored = score_episodes(algorithm, self.bank, self.episodes, adaptation_steps=None if steps is None else (steps,))
        queries = scored.right.numel()
        return ValidationScore(loss=float(scored.loss.sum()) / queries, accuracy=int(scored.right.sum()) / queries)


@dataclass(frozen=True, kw_only=True)
class StepSettings:
    """What one training step is made of.

    ``meta_batch_size`` episodes are drawn and ``episodes_at_once`` of them are differentiated at a time, which bounds the memory and
    leaves the gradient as it is. The loss is the algorithm's, the mean of the queries, times ``loss_factor``.
    """

    optimiser: OptimiserSettings
    meta_batch_size: int = 1
    episodes_at_once: int = 1
    loss_factor: float = 1.0

    @staticmethod
    def of(recipe: TrainingRecipe, *, episodes_at_once: int) -> StepSettings:
        """The steps that a recipe asks for."""
        return StepSettings(
            optimiser=recipe.optimiser,
            meta_batch_size=recipe.meta_batch_size,
            episodes_at_once=episodes_at_once,
            loss_factor=recipe.outer_loss_factor,
        )


def meta_train(
    state: TrainingState,
    sampler: EpisodeSampler,
    settings: StepSettings,
    *,
    steps: int,
    every: int,
    validation: Validation | None,
    after_interval: Callable[[TrainingState], None],
    before_step: Callable[[TrainingState], None],
) -> None:
    """Train ``state`` until it stops: at ``steps`` steps, when patience ends, or when the loss is no longer finite.

    Every ``every`` steps the curves get a point, meta-validation is looked at (if any) and ``after_interval`` is called; the caller
    writes its checkpoint there. ``before_step`` may raise to end the loop between two steps; the state is then whole. Where there is
    no step to take the first weights are what is selected.
    """
    while state.stopped_by is None:
        before_step(state)
        if state.step < steps:
            train_step(state, sampler, settings)
        if state.step % every == 0 or state.step == steps:
            if state.step:
                _close_interval(state, every=every, outer_lr=outer_lr_at(settings.optimiser, state.step - 1))
            if state.stopped_by is None and validation is not None:
                _watch(state, validation, last=state.step >= steps)
            if state.stopped_by is None and state.step >= steps:
                state.stopped_by = "budget"
            after_interval(state)


def train_step(state: TrainingState, sampler: EpisodeSampler, settings: StepSettings) -> None:
    """One optimiser step on the next episodes."""
    state.algorithm.train()
    for group in state.optimiser.param_groups:
        group["lr"] = outer_lr_at(settings.optimiser, state.step)
    state.optimiser.zero_grad(set_to_none=True)
    # Paper: every step draws new episodes. MAML's authors' code draws 200,000 beforehand and comes back to them.
    episodes = sampler.batch(state.step, settings.meta_batch_size)
    for part in episodes.parts(settings.episodes_at_once):
        _add_gradient(state, part, share=len(part) / len(episodes), loss_factor=settings.loss_factor)
    _clip(state.algorithm, settings.optimiser)
    state.optimiser.step()
    state.step += 1


def _add_gradient(state: TrainingState, episodes: EpisodeBatch, *, share: float, loss_factor: float) -> None:
    """Add a part of the meta-batch, ``share`` of it, to the gradient and to the interval's sums."""
    algorithm = cast(Algorithm, state.algorithm)
    logits = algorithm.training_logits(episodes).flatten(0, 1)
    labels = query_labels(episodes.shape, device=logits.device).repeat(len(episodes))
    loss = algorithm.training_loss(logits, labels) * share
    (loss * loss_factor).backward()  # type: ignore[no-untyped-call]
    state.interval_loss += loss.detach()
    state.interval_accuracy += (logits.detach().argmax(dim=1) == labels).double().mean() * share


def _clip(algorithm: nn.Module, settings: OptimiserSettings) -> None:
    # Paper: no text clips. The norm is clipped by the 2018 reproduction of Matching Networks, each entry by MAML's authors' code.
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(algorithm.parameters(), settings.clip_norm)
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(algorithm.parameters(), settings.clip_value)


def _close_interval(state: TrainingState, *, every: int, outer_lr: float) -> None:
    steps = state.step % every or every
    loss = float(state.interval_loss) / steps
    if not math.isfinite(loss):
        state.stopped_by = "divergence"
        return
    state.record("train_loss", loss)
    state.record("train_accuracy", float(state.interval_accuracy) / steps)
    state.record("outer_lr", outer_lr)
    state.interval_loss.zero_()
    state.interval_accuracy.zero_()


def _watch(state: TrainingState, validation: Validation, *, last: bool) -> None:
    # Paper: Prototypical Networks' text trains on meta-train and meta-validation classes together and does not say for how long. Here
    # meta-validation stops the training and selects the weights; `retrain` then trains on both, as the authors' code does.
    score = validation.score(state.algorithm)
    state.record("validation_accuracy", score.accuracy)
    if math.isfinite(score.loss):
        state.record("validation_loss", score.loss)
    if selects(validation.settings.selection, score, state.best, last=last):
        state.select(score)
    patience = validation.settings.patience
    if patience is not None and state.best_step is not None and state.step - state.best_step >= patience:
        state.stopped_by = "patience"
