"""The one training loop: draw an episode, score its queries, step; watch meta-validation; keep the best.

Everything that the loop knows between two steps is in :class:`TrainingState`, which can be written and read back at any step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fsl_core.algorithms.algorithm import Algorithm, query_labels
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.evaluation import count_correct
from fsl_core.recipe import OptimiserSettings, ValidationSettings
from fsl_core.sampler import EpisodeIndices, EpisodeSampler

Curves = dict[str, list[tuple[int, float]]]


@dataclass
class TrainingState:
    """Where a training stands after ``step`` steps; the one mutable value of this library.

    ``interval_loss`` and ``interval_accuracy`` are float64 sums over the steps since the last point of the curves; they stay on the
    device, because reading them out in every step would make the loop wait for it.
    """

    algorithm: nn.Module
    optimiser: torch.optim.Optimizer
    interval_loss: torch.Tensor
    interval_accuracy: torch.Tensor
    step: int = 0
    best_step: int | None = None
    best_accuracy: float = -1.0
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


_PLAIN_FIELDS = (
    "interval_loss",
    "interval_accuracy",
    "step",
    "best_step",
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
    return settings.outer_lr * 0.5 ** (step // settings.halve_every)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What model selection watches: frozen episodes of meta-validation classes."""

    bank: ImageBank
    episodes: EpisodeIndices
    settings: ValidationSettings

    def accuracy(self, algorithm: nn.Module) -> float:
        """The mean accuracy over the frozen episodes, in 0..1."""
        correct = count_correct(algorithm, self.bank, self.episodes)
        return int(correct.sum()) / (len(correct) * self.settings.shape.queries)


def meta_train(
    state: TrainingState,
    sampler: EpisodeSampler,
    *,
    steps: int,
    meta_batch_size: int,
    optimiser: OptimiserSettings,
    every: int,
    validation: Validation | None,
    after_interval: Callable[[TrainingState], None],
    before_step: Callable[[TrainingState], None],
) -> None:
    """Train ``state`` until it stops: at ``steps`` steps, when patience ends, or when the loss is no longer finite.

    Every ``every`` steps the curves get a point, meta-validation is looked at (if any) and ``after_interval`` is called; the caller
    writes its checkpoint there. ``before_step`` may raise to end the loop between two steps; the state is then whole.
    """
    while state.stopped_by is None:
        before_step(state)
        train_step(state, sampler, meta_batch_size=meta_batch_size, outer_lr=outer_lr_at(optimiser, state.step))
        if state.step % every == 0 or state.step == steps:
            _close_interval(state, every=every, outer_lr=outer_lr_at(optimiser, state.step - 1))
            if state.stopped_by is None and validation is not None:
                _select(state, validation)
            if state.stopped_by is None and state.step >= steps:
                state.stopped_by = "budget"
            after_interval(state)


def train_step(state: TrainingState, sampler: EpisodeSampler, *, meta_batch_size: int, outer_lr: float) -> None:
    """One optimiser step on the next ``meta_batch_size`` episodes."""
    assert isinstance(state.algorithm, Algorithm)
    state.algorithm.train()
    for group in state.optimiser.param_groups:
        group["lr"] = outer_lr
    episodes = sampler.batch(state.step, meta_batch_size)
    logits = state.algorithm.training_logits(episodes).flatten(0, 1)
    labels = query_labels(episodes.shape, device=logits.device).repeat(len(episodes))
    loss = nn.functional.cross_entropy(logits, labels)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    state.step += 1
    state.interval_loss += loss.detach()
    state.interval_accuracy += (logits.detach().argmax(dim=1) == labels).double().mean()


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


def _select(state: TrainingState, validation: Validation) -> None:
    accuracy = validation.accuracy(state.algorithm)
    state.record("validation_accuracy", accuracy)
    if accuracy > state.best_accuracy:
        state.best_accuracy, state.best_step = accuracy, state.step
        state.best_weights = {name: tensor.detach().clone() for name, tensor in state.algorithm.state_dict().items()}
    patience = validation.settings.patience
    if patience is not None and state.best_step is not None and state.step - state.best_step >= patience:
        state.stopped_by = "patience"
