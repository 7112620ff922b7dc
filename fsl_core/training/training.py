"""The training loop: take steps, score meta-validation, keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fsl_core.algorithms.algorithm import Model
from fsl_core.backbones.kernels import Kernels
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.evaluation import score_episodes
from fsl_core.episodes.sampler import EpisodeIndices
from fsl_core.recipe.recipe import OptimiserSettings, ValidationSettings
from fsl_core.training.model_selection import ValidationScore, selects
from fsl_core.training.multiplying import multiplying_in
from fsl_core.training.optimiser import outer_lr_at
from fsl_core.training.state import SeedState, TrainingState


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The data of model selection: frozen episodes of meta-validation classes."""

    bank: ImageBank
    episodes: EpisodeIndices
    settings: ValidationSettings
    kernels: Kernels = Kernels()  # noqa: RUF009 - it is frozen

    def score(self, model: Model) -> ValidationScore:
        """The mean loss and accuracy over the queries of the frozen episodes, always in full float32."""
        steps = None if self.settings.adaptation_steps is None else (self.settings.adaptation_steps,)
        with multiplying_in("float32"):
            scored = score_episodes(model, self.bank, self.episodes, kernels=self.kernels, adaptation_steps=steps)
        queries = scored.right.numel()
        return ValidationScore(loss=float(scored.loss.sum()) / queries, accuracy=int(scored.right.sum()) / queries)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule of the loop: at most ``steps`` steps, with a point of the curves every ``every`` steps and at the last."""

    optimiser: OptimiserSettings
    steps: int
    every: int

    def is_point(self, step: int) -> bool:
        """Return whether the curves have a point at this step."""
        return step % self.every == 0 or step == self.steps


def meta_train(
    state: TrainingState,
    take_step: Callable[[], None],
    schedule: Schedule,
    *,
    validations: Sequence[Validation | None],
    after_interval: Callable[[TrainingState], None],
    before_step: Callable[[TrainingState], None],
) -> None:
    """Train ``state`` until every seed stops: at the last step, when patience runs out, or when the loss is no longer finite.

    At every point of the curves the loop scores meta-validation (each seed has its own, if any) and calls ``after_interval``, where the
    caller writes its checkpoint. ``before_step`` may raise to end the loop between two steps; the state is then consistent. With zero
    steps the initial weights are selected.
    """
    while any(seed.stopped_by is None for seed in state.seeds):
        before_step(state)
        if state.step < schedule.steps:
            take_step()
        if schedule.is_point(state.step):
            for index, validation in enumerate(validations):
                if state.seeds[index].stopped_by is None:
                    _close_interval(state, index, schedule, validation)
            after_interval(state)


def _close_interval(state: TrainingState, index: int, schedule: Schedule, validation: Validation | None) -> None:
    """Add the points of this step to a seed's curves, score its meta-validation, and decide whether it stops."""
    seed, last = state.seeds[index], state.step >= schedule.steps
    if state.step:
        _record_training(state, index, schedule)
    if seed.stopped_by is None and validation is not None:
        _watch(state, index, validation, last=last)
    if seed.stopped_by is None and last:
        seed.stopped_by = "budget"


def _record_training(state: TrainingState, index: int, schedule: Schedule) -> None:
    seed, steps = state.seeds[index], state.step % schedule.every or schedule.every
    loss, accuracy = float(state.interval_loss[index]) / steps, float(state.interval_accuracy[index]) / steps
    if not math.isfinite(loss):
        seed.stopped_by = "divergence"
        return
    seed.record("train_loss", state.step, loss)
    seed.record("train_accuracy", state.step, accuracy)
    seed.record("outer_lr", state.step, outer_lr_at(schedule.optimiser, state.step - 1))
    state.interval_loss[index] = 0
    state.interval_accuracy[index] = 0


def _watch(state: TrainingState, index: int, validation: Validation, *, last: bool) -> None:
    # Paper: Prototypical Networks train on meta-train and meta-validation classes together; the paper does not say for how long. Here
    # meta-validation stops the training and selects the weights; `retrain` then trains on both, as the authors' code does.
    seed, score = state.seeds[index], validation.score(state.model(index))
    seed.record("validation_accuracy", state.step, score.accuracy)
    if math.isfinite(score.loss):
        seed.record("validation_loss", state.step, score.loss)
    if selects(validation.settings.selection, score, seed.best, last=last):
        seed.select(state.step, score, state.named(index))
    if _is_out_of_patience(seed, state.step, validation.settings.patience):
        seed.stopped_by = "patience"


def _is_out_of_patience(seed: SeedState, step: int, patience: int | None) -> bool:
    return patience is not None and seed.best_step is not None and step - seed.best_step >= patience
