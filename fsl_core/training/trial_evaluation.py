"""Evaluates trained trials."""

from __future__ import annotations

from pathlib import Path

from fsl_core.algorithms.algorithm import Model
from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.backbones.kernels import Kernels
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episodes.answers import hex_answers
from fsl_core.episodes.episode_classes import EpisodeClasses
from fsl_core.episodes.evaluation import Scored, score_episodes
from fsl_core.episodes.sampler import EpisodeIndices
from fsl_core.errors import CheckpointCorruptError, DataChangedError
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.checkpoint import load_weights
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.meta_test_episodes import meta_test_episodes
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.trained_model import trained_model


def evaluate_trial(
    result: TrialResult, evaluation: Evaluation, *, folder: Path, dataset: SplitDataset, device: str = "cpu", threads: int = 1
) -> EvaluationResult:
    """Score a trained trial's selected weights on frozen meta-test episodes, always in full float32.

    Raises:
        CheckpointCorruptError: ``selected.pt`` is absent or does not match the result, or the trial diverged and has no weights.
        DataChangedError: the trial was trained on other images, or their file was modified during scoring.
        EpisodeError: the meta-test classes do not suffice.
        RecipeError: the evaluation does not suit the trial, for example adaptation steps for a metric algorithm.
    """
    digest = _weights_to_score(result, evaluation, dataset)
    bank, episodes = dataset.meta_test, meta_test_episodes(result.recipe, evaluation, dataset)
    path = ExecutionPath(device=device, threads=threads)
    with path.active() as there:
        algorithm = build_algorithm(result.recipe, image_shape=bank.image_shape)
        model = trained_model(algorithm, load_weights(folder / "selected.pt", digest=digest), there)
        scored = _scored(model, bank.to(there), episodes, evaluation, path.kernels)
    dataset.check_unchanged()
    by_step = tuple(map(tuple, scored.counts.tolist()))
    return EvaluationResult(
        recipe_fingerprint=result.recipe.fingerprint,
        evaluation=evaluation,
        weights_digest=digest,
        data_digest=dataset.digest,
        episodes_digest=episodes.digest(),
        correct=by_step[-1],
        answers=hex_answers(scored.right.numpy()),
        classes=EpisodeClasses.of(episodes.classes.numpy(), bank.class_names, bank.turns),
        correct_by_step=None if evaluation.adaptation_steps is None else by_step,
    )


def _weights_to_score(result: TrialResult, evaluation: Evaluation, dataset: SplitDataset) -> str:
    """The digest of the selected weights, where they can be scored so and on these images."""
    evaluation.check_suits(result.recipe)
    if result.weights_digest is None:
        raise CheckpointCorruptError(f"trial {result.recipe.fingerprint} diverged: it has no weights to evaluate")
    if result.data_digest != dataset.digest:
        raise DataChangedError(
            f"the trial was trained on images with digest {result.data_digest[:16]}; those found now have {dataset.digest[:16]}"
        )
    return result.weights_digest


def _scored(model: Model, bank: ImageBank, episodes: EpisodeIndices, evaluation: Evaluation, kernels: Kernels) -> Scored:
    """The scores after every number of adaptation steps up to the evaluation's."""
    steps = evaluation.adaptation_steps
    return score_episodes(
        model,
        bank,
        episodes,
        kernels=kernels,
        adaptation_steps=None if steps is None else range(steps + 1),
        inductive=evaluation.inductive,
    )
