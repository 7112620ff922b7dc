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
    """The schedule of a seed: at most ``steps`` steps, with a point of the curves every ``every`` steps and at the last."""

    optimiser: OptimiserSettings
    steps: int
    every: int

    def is_point(self, step: int) -> bool:
        """Return whether the curves have a point at this step."""
        return step % self.every == 0 or step == self.steps


@dataclass(frozen=True, kw_only=True)
class SeedLoop:
    """The part of the loop that each seed has for itself: its schedule, its meta-validation, if any, and who hears of its points.

    ``after_interval`` is called at every point of the seed's curves: its caller writes a checkpoint there.
    """

    schedule: Schedule
    validation: Validation | None
    after_interval: Callable[[], None]


def meta_train(
    state: TrainingState,
    take_step: Callable[[], None],
    loops: Sequence[SeedLoop | None],
    *,
    before_step: Callable[[], None],
) -> None:
    """Train ``state`` until every seed stops: at its last step, when patience runs out, or when its loss is no longer finite.

    ``loops`` has one for each seed. The steps of a seed that has stopped, or has None, are taken with the others' and ignored. At every
    point of a seed's curves the loop scores its meta-validation. ``before_step`` may raise to end the loop between two steps; the state
    is then consistent. With zero steps the initial weights are selected.
    """
    while running := running_seeds(state, loops):
        before_step()
        if state.step < max(loop.schedule.steps for _, loop in running):
            take_step()
        for index, loop in running:
            if loop.schedule.is_point(state.step):
                _close_interval(state, index, loop)
                loop.after_interval()


def running_seeds(state: TrainingState, loops: Sequence[SeedLoop | None]) -> list[tuple[int, SeedLoop]]:
    """The loops of the seeds that have not stopped, each with its index."""
    return [(index, loop) for index, loop in enumerate(loops) if loop is not None and state.seeds[index].stopped_by is None]


def _close_interval(state: TrainingState, index: int, loop: SeedLoop) -> None:
    """Add the points of this step to a seed's curves, score its meta-validation, and decide whether it stops."""
    reason = _record_training(state, index, loop.schedule) if state.step else None
    last = state.step >= loop.schedule.steps
    if reason is None and loop.validation is not None:
        reason = _watch(state, index, loop.validation, last=last)
    if reason is None and last:
        reason = "budget"
    if reason is not None:
        state.stop(index, reason)


def _record_training(state: TrainingState, index: int, schedule: Schedule) -> str | None:
    """Add the training's points to the curves; returns why the seed stops, if it does."""
    seed, steps = state.seeds[index], state.step % schedule.every or schedule.every
    loss, accuracy = float(state.interval_loss[index]) / steps, float(state.interval_accuracy[index]) / steps
    if not math.isfinite(loss) or not state.is_finite(index):
        return "divergence"  # weights and statistics too: after an overflow the loss may be finite, of answers that see no image
    seed.record("train_loss", state.step, loss)
    seed.record("train_accuracy", state.step, accuracy)
    seed.record("outer_lr", state.step, outer_lr_at(schedule.optimiser, state.step - 1))
    state.interval_loss[index] = 0
    state.interval_accuracy[index] = 0
    return None


def _watch(state: TrainingState, index: int, validation: Validation, *, last: bool) -> str | None:
    """Score meta-validation and select the weights if it says so; returns why the seed stops, if it does."""
    # Paper: Prototypical Networks train on meta-train and meta-validation classes together; the paper does not say for how long. Here
    # meta-validation stops the training and selects the weights; `retrain` then trains on both, as the authors' code does.
    seed, score = state.seeds[index], validation.score(state.model(index))
    seed.record("validation_accuracy", state.step, score.accuracy)
    if math.isfinite(score.loss):
        seed.record("validation_loss", state.step, score.loss)
    if selects(validation.settings.selection, score, seed.best, last=last):
        seed.select(state.step, score, state.named(index))
    return "patience" if _is_out_of_patience(seed, state.step, validation.settings.patience) else None


def _is_out_of_patience(seed: SeedState, step: int, patience: int | None) -> bool:
    return patience is not None and seed.best_step is not None and step - seed.best_step >= patience
