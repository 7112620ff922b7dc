"""One trial: a recipe in, trained weights and their scores out; stopped or killed at any moment, it resumes from its checkpoint.

A trial's folder holds ``checkpoints/<stage>/`` while it trains and ``selected.pt``, the weights that evaluations score, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.weights import Weights
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank, join
from fsl_core.episodes.sampler import EpisodeSampler, frozen_episodes
from fsl_core.errors import StopRequested
from fsl_core.randomness import Stream
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.checkpoint import load_newest_checkpoint, save_weights, weights_digest
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_choice import StepKind, choose_path
from fsl_core.training.pinned_path import pinned_path
from fsl_core.training.progress import Progress, progress_of
from fsl_core.training.result import TrialResult
from fsl_core.training.state import TrainingState, start_training
from fsl_core.training.step import StepSettings
from fsl_core.training.step_runner import step_runner
from fsl_core.training.training import Schedule, Validation, meta_train
from fsl_core.training.trial_checkpoint import ExpectedCheckpoint, StageCheckpoints, path_of


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """How to run a trial: where, on what, along which execution path, and who is asked and told.

    ``folder`` is the trial's own, made where missing; ``dataset`` holds the images, as :func:`fsl_core.datasets.catalogue.open_dataset`
    gives them. ``device`` is ``cpu`` or ``cuda``, ``threads`` the CPU threads inside one operation, ``path`` an execution path that
    nothing is measured for, ``choices`` the folder of the paths chosen so far, which trials share; None keeps none.

    ``observe`` is called at every point of the curves. ``should_stop`` is asked between steps: once it is true, a checkpoint is written
    and StopRequested raised. ``announce`` is told in a sentence what is worth a log line, such as a resume or a damaged checkpoint
    that was set aside; ``on_path``, before the first step, the execution path that is taken.
    """

    folder: Path
    dataset: SplitDataset
    device: str = "cpu"
    threads: int = 1
    path: ExecutionPath | None = None
    choices: Path | None = None
    observe: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False
    announce: Callable[[str], None] = lambda message: None
    on_path: Callable[[ExecutionPath], None] = lambda path: None


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """One training within a trial: the classes, the number of steps, and whether meta-validation selects the weights."""

    recipe: TrainingRecipe
    run: TrialRun
    name: str
    bank: ImageBank
    steps: int
    selects: bool


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
    select = _Stage(recipe=recipe, run=run, name="select", bank=run.dataset.meta_train, steps=recipe.steps, selects=True)
    state = _run_stage(select)
    weights = state.seeds[0].best_weights
    if recipe.retrain and weights is not None and state.seeds[0].best_step and state.seeds[0].stopped_by != "divergence":
        weights = _retrained(recipe, state, run)  # selected at step 0 the network is untrained, and stays it
    result = _result(recipe, state, weights, run.dataset)
    if weights is not None and result.status == "complete":
        save_weights(run.folder / "selected.pt", weights)
    return result


def _retrained(recipe: TrainingRecipe, state: TrainingState, run: TrialRun) -> Weights:
    """The weights of a training on meta-train and meta-validation classes, whose curves and end are added to those of ``state``."""
    selected = state.seeds[0]
    bank = join(run.dataset.meta_train, run.dataset.meta_validation)
    steps = (selected.best_step or 0) + (recipe.validation.patience or 0)
    again = _run_stage(_Stage(recipe=recipe, run=run, name="retrain", bank=bank, steps=steps, selects=False))
    selected.curves |= {f"retrain_{name}": curve for name, curve in again.seeds[0].curves.items()}
    if again.seeds[0].stopped_by == "divergence":
        selected.stopped_by = "divergence"
    return again.named()


def _result(
    recipe: TrainingRecipe, state: TrainingState, weights: Mapping[str, torch.Tensor] | None, dataset: SplitDataset
) -> TrialResult:
    seed = state.seeds[0]
    diverged = seed.stopped_by == "divergence" or weights is None
    return TrialResult(
        recipe=recipe,
        status="diverged" if diverged else "complete",
        stopped_by=cast(Literal["budget", "patience", "divergence"], seed.stopped_by),
        steps_done=state.step,
        selected_step=None if diverged else seed.best_step,
        validation_loss=None if diverged else seed.best_loss,
        validation_accuracy=None if diverged else seed.best_accuracy,
        weights_digest=None if diverged or weights is None else weights_digest(weights),
        data_digest=dataset.digest,
        curves={name: tuple(curve) for name, curve in seed.curves.items()},
    )


def _run_stage(stage: _Stage) -> TrainingState:
    recipe, run = stage.recipe, stage.run
    folder = run.folder / "checkpoints" / stage.name
    expected = ExpectedCheckpoint(recipe=recipe, dataset=run.dataset, stage=stage.name, steps=stage.steps)
    checkpoint, useless = load_newest_checkpoint(folder, expected.check)
    for aside in useless:
        run.announce(f"a checkpoint that is damaged, or of other work, was set aside as {aside}")
    path = pinned_path(
        recipe,
        run.folder,
        of_checkpoint=None if checkpoint is None else path_of(checkpoint),
        otherwise=lambda: _otherwise(recipe, run),
        announce=run.announce,
    )
    run.on_path(path)
    with path.active(recipe.matmul_precision) as device:
        bank = stage.bank.to(device)
        sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, f"{stage.name}/episodes", recipe.data.distinct_characters)
        state = start_training(
            build_algorithm(recipe, image_shape=bank.image_shape),
            recipe.optimiser,
            streams=[Stream(recipe.seed, f"{stage.name}/weights")],
            kernels=path.kernels,
            device=device,
            captured=path.captured,
        )
        if checkpoint is not None:
            state.restore(checkpoint["state"])
            run.announce(f"resumed {stage.name} at step {state.step} of {stage.steps}")
        saver = StageCheckpoints(folder=folder, recipe=recipe, data_digest=run.dataset.digest, path=path)
        if state.seeds[0].stopped_by is None:
            _train(stage, path, state, sampler, saver)
    return state


def _otherwise(recipe: TrainingRecipe, run: TrialRun) -> ExecutionPath:
    """The path of a trial that has none yet."""
    if run.path is not None:
        return run.path
    ExecutionPath(device=run.device, threads=run.threads).check_available(recipe.matmul_precision)
    shape = run.dataset.meta_train.image_shape
    return choose_path(StepKind(recipe=recipe, image_shape=shape, device=run.device, threads=run.threads), run.choices)


def _train(
    stage: _Stage, path: ExecutionPath, state: TrainingState, sampler: EpisodeSampler, checkpoints: StageCheckpoints
) -> None:
    recipe, run = stage.recipe, stage.run

    def save(state: TrainingState) -> None:
        run.dataset.check_unchanged()  # first: no checkpoint is of images other than those verified
        checkpoints.save(state)

    def after_interval(state: TrainingState) -> None:
        save(state)
        run.observe(progress_of(state, stage.steps))

    def before_step(state: TrainingState) -> None:
        if run.should_stop():
            save(state)
            raise StopRequested(f"stopped at step {state.step} of {stage.steps}; the checkpoint is written")

    settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once, kernels=path.kernels)
    meta_train(
        state,
        step_runner(state, [sampler], settings, captured=path.captured),
        Schedule(optimiser=recipe.optimiser, steps=stage.steps, every=recipe.validation.every),
        validations=[_validation(recipe, run.dataset, sampler.bank.images.device, path) if stage.selects else None],
        after_interval=after_interval,
        before_step=before_step,
    )
    run.dataset.check_unchanged()


def _validation(recipe: TrainingRecipe, dataset: SplitDataset, device: torch.device, path: ExecutionPath) -> Validation:
    settings = recipe.validation
    pool = dataset.meta_validation.pool(distinct_characters=recipe.data.distinct_characters)
    episodes = frozen_episodes(pool, settings.shape, settings.episodes, seed=recipe.seed, stream="validation")
    bank = dataset.meta_validation.to(device)
    return Validation(bank=bank, episodes=episodes, settings=settings, kernels=path.kernels)
