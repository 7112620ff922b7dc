"""One trial: a recipe in, trained weights and their scores out; stopped or killed at any moment, it resumes from its checkpoint.

A trial's folder holds ``checkpoints/<stage>/`` while it trains and ``selected.pt``, the weights that evaluations score, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from fsl_core.datasets.image_bank import ImageBank, join
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.checkpoint import save_weights, weights_digest
from fsl_core.training.result import TrialResult
from fsl_core.training.seed_groups import begun_trial, seed_groups
from fsl_core.training.stage import SeedStage, run_stage
from fsl_core.training.stage_checkpoint import RETRAIN, SELECT
from fsl_core.training.state import SeedState
from fsl_core.training.time_shares import TimeShares
from fsl_core.training.trial_run import PinnedTrial, Trial, TrialRun


def run_trial(recipe: TrainingRecipe, run: TrialRun) -> TrialResult:
    """Train a recipe in the run's folder, from where an earlier run of it stopped, and select its weights on meta-validation.

    The execution path is that of the folder's ``path.json``, if there is one; else the run's ``path``; else the fastest on its device
    with its threads, as ``choices`` keeps it for every trial with such steps, or as it is measured now. It is in ``path.json`` before
    the first step.

    Raises:
        StopRequested: ``should_stop`` said so.
        CheckpointEditionError: the checkpoint is of another edition of the recipes.
        CheckpointFormatError: the checkpoint holds an earlier form of the training's state.
        ExecutionPathError: the trial's execution path, or the wanted one, or the recipe's precision, is not to be had here.
        DataChangedError: the checkpoint was trained on other images, or their file was written to meanwhile.
    """
    [group] = seed_groups([begun_trial(Trial(recipe=recipe, run=run))])
    [result] = run_together(group)
    return result


def run_together(group: Sequence[PinnedTrial]) -> list[TrialResult]:
    """Train a group of :func:`fsl_core.training.seed_groups.seed_groups` as :func:`run_trial` does each of its trials.

    Returns a result for each trial. On an equal path a trial has the same bits whichever of its group train with it.
    """
    for trial in group:
        trial.run.on_path(trial.path)
    shares = TimeShares(group)
    seeds = run_stage([_select(trial) for trial in group], shares)
    _retrain([(trial, seed) for trial, seed in zip(group, seeds, strict=True) if _retrains(trial.recipe, seed)], shares)
    return [_finished(trial, seed) for trial, seed in zip(group, seeds, strict=True)]


def _select(trial: PinnedTrial) -> SeedStage:
    return SeedStage(trial=trial, name=SELECT, bank=trial.run.dataset.meta_train, steps=trial.recipe.steps, selects=True)


def _retrains(recipe: TrainingRecipe, selected: SeedState) -> bool:
    """Whether the training is repeated. Weights selected at step 0 are untrained, and stay so."""
    return recipe.retrain and selected.best_weights is not None and bool(selected.best_step) and not _diverged(selected)


def _retrain(selected: Sequence[tuple[PinnedTrial, SeedState]], shares: TimeShares) -> None:
    """Repeat trainings on meta-train and meta-validation classes; their weights, curves and ends replace or extend the selected ones."""
    if not selected:
        return
    dataset = selected[0][0].run.dataset
    bank = join(dataset.meta_train, dataset.meta_validation)
    again = run_stage([_again(trial, seed, bank) for trial, seed in selected], shares)
    for (_, seed), repeated in zip(selected, again, strict=True):
        seed.curves |= {f"{RETRAIN}_{name}": curve for name, curve in repeated.curves.items()}
        seed.best_weights = repeated.last_weights
        if _diverged(repeated):
            seed.stopped_by = repeated.stopped_by


def _again(trial: PinnedTrial, seed: SeedState, bank: ImageBank) -> SeedStage:
    steps = (seed.best_step or 0) + (trial.recipe.validation.patience or 0)
    return SeedStage(trial=trial, name=RETRAIN, bank=bank, steps=steps, selects=False)


def _diverged(seed: SeedState) -> bool:
    return seed.stopped_by == "divergence"


def _finished(trial: PinnedTrial, seed: SeedState) -> TrialResult:
    result = _result(trial, seed)
    if seed.best_weights is not None and result.status == "complete":
        save_weights(trial.run.folder / "selected.pt", seed.best_weights)
    return result


def _result(trial: PinnedTrial, seed: SeedState) -> TrialResult:
    weights = seed.best_weights
    diverged = _diverged(seed) or weights is None
    return TrialResult(
        recipe=trial.recipe,
        status="diverged" if diverged else "complete",
        stopped_by=cast(Literal["budget", "patience", "divergence"], seed.stopped_by),
        steps_done=seed.ended_at or 0,
        selected_step=None if diverged else seed.best_step,
        validation_loss=None if diverged else seed.best_loss,
        validation_accuracy=None if diverged else seed.best_accuracy,
        weights_digest=None if diverged or weights is None else weights_digest(weights),
        data_digest=trial.run.dataset.digest,
        curves={name: tuple(curve) for name, curve in seed.curves.items()},
    )
