"""One trial: a recipe in, trained weights and their scores out; stopped or killed at any moment, it resumes from its checkpoint.

A trial's folder holds ``checkpoints/<stage>/`` while it trains and ``selected.pt``, the weights that evaluations score, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank, join
from fsl_core.episodes.answers import hex_answers
from fsl_core.episodes.episode_classes import EpisodeClasses
from fsl_core.episodes.evaluation import score_episodes
from fsl_core.episodes.sampler import EpisodeSampler, frozen_episodes
from fsl_core.errors import CheckpointCorruptError, DataChangedError, StopRequested
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.checkpoint import load_newest_checkpoint, load_weights, save_weights, weights_digest
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.training import StepSettings, TrainingState, Validation, meta_train, start_training
from fsl_core.training.trial_checkpoint import ExpectedCheckpoint, StageCheckpoints, path_of

META_TEST_STREAM = "meta-test"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What an observer learns at every point of the curves.

    ``step`` of at most ``steps``; ``metrics`` are the values that the curves got at this step (accuracies in 0..1); ``best`` is the
    meta-validation accuracy of the weights selected so far, or of the present ones where none are, None where nothing is watched.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    best: float | None


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """How to run a trial: its folder and data, the execution path, and who is asked and told; see :func:`run_trial`."""

    folder: Path
    dataset: SplitDataset
    path: ExecutionPath = field(default_factory=ExecutionPath)
    observe: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False
    announce: Callable[[str], None] = lambda message: None
    on_path: Callable[[ExecutionPath], None] = lambda path: None


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """One run of the training loop: the classes, the number of steps, and whether meta-validation selects the weights."""

    name: str
    bank: ImageBank
    steps: int
    selects: bool


def run_trial(
    recipe: TrainingRecipe,
    *,
    folder: Path,
    dataset: SplitDataset,
    device: str = "cpu",
    threads: int = 1,
    episodes_at_once: int = 1,
    observe: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
    announce: Callable[[str], None] = lambda message: None,
    on_path: Callable[[ExecutionPath], None] = lambda path: None,
) -> TrialResult:
    """Train a recipe in ``folder``, from where an earlier run of it stopped, and select its weights on meta-validation.

    Args:
        recipe: what to train.
        folder: the trial's own folder; it is made where missing.
        dataset: the images, as :func:`fsl_core.datasets.catalogue.open_dataset` gives them.
        device: ``cpu`` or ``cuda``; with ``threads`` it is the execution path, which an existing checkpoint overrules.
        threads: CPU threads inside one operation.
        episodes_at_once: how many episodes of a meta-batch are differentiated together, also part of the execution path.
        observe: called at every point of the curves.
        should_stop: asked between steps; once it is true, a checkpoint is written and StopRequested raised.
        announce: told in a sentence what is worth a log line: a resume, a damaged checkpoint set aside.
        on_path: told, before the first step, the execution path that is taken.

    Raises:
        StopRequested: ``should_stop`` said so.
        CheckpointEditionError: the checkpoint is of another edition of the recipes.
        ExecutionPathError: the checkpoint's execution path, or the wanted one, is not to be had here.
        DataChangedError: the checkpoint was trained on other images, or their file was written to meanwhile.
    """
    wanted = ExecutionPath(device=device, threads=threads, episodes_at_once=episodes_at_once)
    run = TrialRun(
        folder=folder, dataset=dataset, path=wanted, observe=observe, should_stop=should_stop, announce=announce, on_path=on_path
    )
    select = _Stage(name="select", bank=dataset.meta_train, steps=recipe.steps, selects=True)
    state, path = _run_stage(recipe, select, run)
    weights = state.best_weights
    if recipe.retrain and weights is not None and state.best_step and state.stopped_by != "divergence":  # at step 0: untrained
        bank = join(dataset.meta_train, dataset.meta_validation)
        steps = state.best_step + (recipe.validation.patience or 0)
        retrain = _Stage(name="retrain", bank=bank, steps=steps, selects=False)
        retrained, _ = _run_stage(recipe, retrain, replace(run, path=path))
        state.curves |= {f"retrain_{name}": curve for name, curve in retrained.curves.items()}
        weights = retrained.algorithm.state_dict()
        if retrained.stopped_by == "divergence":
            state.stopped_by = "divergence"
    result = _result(recipe, state, weights, dataset)
    if weights is not None and result.status == "complete":
        save_weights(folder / "selected.pt", weights)
    return result


def _result(
    recipe: TrainingRecipe, state: TrainingState, weights: Mapping[str, torch.Tensor] | None, dataset: SplitDataset
) -> TrialResult:
    diverged = state.stopped_by == "divergence" or weights is None
    return TrialResult(
        recipe=recipe,
        status="diverged" if diverged else "complete",
        stopped_by=cast(Literal["budget", "patience", "divergence"], state.stopped_by),
        steps_done=state.step,
        selected_step=None if diverged else state.best_step,
        validation_loss=None if diverged else state.best_loss,
        validation_accuracy=None if diverged else state.best_accuracy,
        weights_digest=None if diverged or weights is None else weights_digest(weights),
        data_digest=dataset.digest,
        curves={name: tuple(curve) for name, curve in state.curves.items()},
    )


def _run_stage(recipe: TrainingRecipe, stage: _Stage, run: TrialRun) -> tuple[TrainingState, ExecutionPath]:
    folder = run.folder / "checkpoints" / stage.name
    expected = ExpectedCheckpoint(recipe=recipe, dataset=run.dataset, stage=stage.name, steps=stage.steps)
    checkpoint, useless = load_newest_checkpoint(folder, expected.check)
    for aside in useless:
        run.announce(f"a checkpoint that is damaged, or of other work, was set aside as {aside}")
    path = run.path if checkpoint is None else path_of(checkpoint)
    run.on_path(path)
    with path.active() as device:
        bank = stage.bank.to(device)
        algorithm = build_algorithm(recipe, image_shape=bank.image_shape, stage=stage.name, device=device)
        state = start_training(algorithm, recipe.optimiser)
        if checkpoint is not None:
            state.restore(checkpoint["state"])
            run.announce(f"resumed {stage.name} at step {state.step} of {stage.steps}")
        sampler = EpisodeSampler(bank, recipe.episode, recipe.seed, f"{stage.name}/episodes", recipe.data.distinct_characters)
        settings = StepSettings.of(recipe, episodes_at_once=path.episodes_at_once)
        saver = StageCheckpoints(folder=folder, recipe=recipe, data_digest=run.dataset.digest, path=path)
        _train(recipe, stage, state, sampler, settings, run, saver)
    return state, path


def _train(
    recipe: TrainingRecipe,
    stage: _Stage,
    state: TrainingState,
    sampler: EpisodeSampler,
    settings: StepSettings,
    run: TrialRun,
    checkpoints: StageCheckpoints,
) -> None:
    def save(state: TrainingState) -> None:
        run.dataset.check_unchanged()  # first: no checkpoint is of images other than those verified
        checkpoints.save(state)

    def after_interval(state: TrainingState) -> None:
        save(state)
        run.observe(_progress(state, stage.steps))

    def before_step(state: TrainingState) -> None:
        if run.should_stop():
            save(state)
            raise StopRequested(f"stopped at step {state.step} of {stage.steps}; the checkpoint is written")

    meta_train(
        state,
        sampler,
        settings,
        steps=stage.steps,
        every=recipe.validation.every,
        validation=_validation(recipe, run.dataset, sampler.bank.images.device) if stage.selects else None,
        after_interval=after_interval,
        before_step=before_step,
    )
    run.dataset.check_unchanged()


def _validation(recipe: TrainingRecipe, dataset: SplitDataset, device: torch.device) -> Validation:
    settings = recipe.validation
    pool = dataset.meta_validation.pool(distinct_characters=recipe.data.distinct_characters)
    episodes = frozen_episodes(pool, settings.shape, settings.episodes, seed=recipe.seed, stream="validation")
    return Validation(bank=dataset.meta_validation.to(device), episodes=episodes, settings=settings)


def _progress(state: TrainingState, steps: int) -> Progress:
    metrics = {name: curve[-1][1] for name, curve in state.curves.items() if curve and curve[-1][0] == state.step}
    best = metrics.get("validation_accuracy") if state.best is None else state.best.accuracy
    return Progress(step=state.step, steps=steps, metrics=metrics, best=best)


def evaluate_trial(
    result: TrialResult, evaluation: Evaluation, *, folder: Path, dataset: SplitDataset, device: str = "cpu", threads: int = 1
) -> EvaluationResult:
    """Score a trained trial's selected weights on frozen episodes of meta-test classes.

    Raises:
        CheckpointCorruptError: ``selected.pt`` is absent or is not what the result names, or the trial diverged and has no weights.
        DataChangedError: the trial was trained on other images, or their file was written to meanwhile.
        EpisodeError: the meta-test classes cannot give such episodes.
        RecipeError: the trial cannot be scored so, such as with adaptation steps where nothing adapts.
    """
    evaluation.check_suits(result.recipe)
    if result.weights_digest is None:
        raise CheckpointCorruptError(f"trial {result.recipe.fingerprint} diverged: it has no weights to evaluate")
    if result.data_digest != dataset.digest:
        raise DataChangedError(f"the trial saw data {result.data_digest[:16]}; those found now have digest {dataset.digest[:16]}")
    bank, steps = dataset.meta_test, evaluation.adaptation_steps
    pool = bank.pool(distinct_characters=result.recipe.data.distinct_characters)
    episodes = frozen_episodes(pool, evaluation.shape, evaluation.episodes, seed=evaluation.seed, stream=META_TEST_STREAM)
    with ExecutionPath(device=device, threads=threads).active() as there:
        algorithm = build_algorithm(result.recipe, image_shape=bank.image_shape, stage="select", device=there)
        algorithm.load_state_dict(dict(load_weights(folder / "selected.pt", digest=result.weights_digest)))
        recorded = None if steps is None else range(steps + 1)
        scored = score_episodes(algorithm, bank.to(there), episodes, adaptation_steps=recorded, inductive=evaluation.inductive)
    dataset.check_unchanged()
    by_step = tuple(map(tuple, scored.counts.tolist()))
    return EvaluationResult(
        recipe_fingerprint=result.recipe.fingerprint,
        evaluation=evaluation,
        weights_digest=result.weights_digest,
        data_digest=dataset.digest,
        episodes_digest=episodes.digest(),
        correct=by_step[-1],
        answers=hex_answers(scored.right.numpy()),
        classes=EpisodeClasses.of(episodes.classes.numpy(), bank.class_names, bank.turns),
        correct_by_step=None if steps is None else by_step,
    )
