"""Trials of the algorithms that have more state or another way of being scored: stopped, resumed, scored, untrained."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import pytest

from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import RecipeError, StopRequested
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import Evaluation, GradientDescentSettings, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.checkpoint import weights_digest
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.path_file import PATH_FILE
from fsl_core.training.result import evaluation_result_from_plain, trial_result_from_plain
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import first_weights, glyphs_recipe
from tests.fsl_core.test_trial import StopAfter, text

SHAPE = EpisodeShape(way=3, shot=1, query=2)
FORMS: dict[str, AlgorithmSettings] = {
    "full context": MatchingSettings(scale=10.0, learn_scale=True, fce=True, reading_steps=2, support_order="interleaved"),
    "maml order 1": MamlSettings(order=1),
    "maml order 2": MamlSettings(order=2, adaptation_steps=2, outer_reduction="sum_over_shot"),
    "reptile": ReptileSettings(adaptation_steps=2, inner_batch_size=2),
}


def recipe_of(algorithm: AlgorithmSettings) -> TrainingRecipe:
    adapts, descent = algorithm.adapts, GradientDescentSettings(outer_lr=1.0, halve_every=None, decay_steps=8)
    return glyphs_recipe(
        algorithm=algorithm,
        steps=8,
        episode=SHAPE,
        meta_batch_size=3,
        backbone=Conv4Settings(filters=4, batch_norm="batch" if adapts else "running"),
        optimiser=descent if isinstance(algorithm, ReptileSettings) else OptimiserSettings(clip_norm=1.0, clip_value=0.5),
        validation=ValidationSettings(shape=SHAPE, every=4, episodes=6, patience=None, adaptation_steps=2 if adapts else None),
    )


@pytest.mark.parametrize("algorithm", FORMS.values(), ids=FORMS.keys())
def test_a_stopped_and_resumed_trial_equals_an_uninterrupted_one_bit_for_bit(
    algorithm: AlgorithmSettings, glyphs: SplitDataset, tmp_path: Path
) -> None:
    recipe = recipe_of(algorithm)
    whole = run_trial(recipe, TrialRun(folder=tmp_path / "whole", dataset=glyphs))
    for steps in (3, 2):
        with pytest.raises(StopRequested):
            run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs, should_stop=StopAfter(steps)))
    assert text(run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs))) == text(whole)
    assert trial_result_from_plain(json.loads(text(whole))) == whole
    shifted = run_trial(dataclasses.replace(recipe, seed=1), TrialRun(folder=tmp_path / "other", dataset=glyphs))
    assert shifted.weights_digest != whole.weights_digest


def test_how_many_episodes_are_differentiated_at_once_is_pinned_by_the_checkpoint(glyphs: SplitDataset, tmp_path: Path) -> None:
    """The gradient is the same, its rounding is not: a trial goes on as it began."""
    recipe = recipe_of(FORMS["maml order 2"])
    three, one = ExecutionPath(episodes_at_once=3), ExecutionPath(episodes_at_once=1)
    whole = run_trial(recipe, TrialRun(folder=tmp_path / "whole", dataset=glyphs, path=three))
    with pytest.raises(StopRequested):
        run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs, path=three, should_stop=StopAfter(5)))
    (tmp_path / "stopped" / PATH_FILE).unlink()
    assert text(run_trial(recipe, TrialRun(folder=tmp_path / "stopped", dataset=glyphs, path=one))) == text(whole)
    one_by_one = run_trial(recipe, TrialRun(folder=tmp_path / "apart", dataset=glyphs, path=one))
    assert one_by_one.weights_digest != whole.weights_digest
    assert [value for _, value in one_by_one.curves["train_loss"]] == pytest.approx(
        [value for _, value in whole.curves["train_loss"]], rel=1e-3
    )


@pytest.mark.parametrize("normalisation", ["fused", "plain"])
def test_second_order_trains_through_batch_norm_without_a_scale(
    normalisation: Literal["fused", "plain"], glyphs: SplitDataset, folder: Path
) -> None:
    """Torch's own cannot be differentiated twice then."""
    without = Conv4Settings(filters=4, batch_norm="batch", batch_norm_scale=False)
    recipe = dataclasses.replace(recipe_of(FORMS["maml order 2"]), backbone=without, steps=4)
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs, path=ExecutionPath(normalisation=normalisation)))
    assert result.status == "complete"
    assert result.weights_digest != weights_digest(first_weights(recipe, glyphs.meta_train.image_shape))


def test_a_score_records_the_accuracy_after_every_number_of_steps(glyphs: SplitDataset, folder: Path) -> None:
    result = run_trial(recipe_of(FORMS["maml order 1"]), TrialRun(folder=folder, dataset=glyphs))
    scores = [
        evaluate_trial(result, Evaluation(shape=SHAPE, episodes=20, adaptation_steps=steps), folder=folder, dataset=glyphs)
        for steps in (0, 1, 3)
    ]
    longest = scores[-1].correct_by_step
    assert longest is not None and len(longest) == 4
    assert [score.correct for score in scores] == [longest[0], longest[1], longest[3]]
    plain = json.loads(json.dumps(scores[-1].as_plain()))
    assert evaluation_result_from_plain(plain) == scores[-1]
    for spoilt in (plain["correct_by_step"][:-1], plain["correct_by_step"][::-1], None):
        with pytest.raises(RecipeError, match="adaptation steps"):
            evaluation_result_from_plain({**plain, "correct_by_step": spoilt})


def test_one_training_is_scored_transductively_and_inductively(glyphs: SplitDataset, folder: Path) -> None:
    """Two evaluations of one trial, which answer the same episodes; both record the accuracy after every number of steps."""
    result = run_trial(recipe_of(FORMS["maml order 1"]), TrialRun(folder=folder, dataset=glyphs))
    one_query = dataclasses.replace(SHAPE, query=1)
    evaluations = [
        Evaluation(shape=shape, episodes=40, adaptation_steps=2, inductive=inductive)
        for shape in (SHAPE, one_query)
        for inductive in (False, True)
    ]
    scores = [evaluate_trial(result, evaluation, folder=folder, dataset=glyphs) for evaluation in evaluations]
    assert len({evaluation.fingerprint for evaluation in evaluations}) == 4
    for one, other in (scores[:2], scores[2:]):
        assert one.episodes_digest == other.episodes_digest
        assert one.correct_by_step is not None and other.correct_by_step is not None
        assert len(one.correct_by_step) == len(other.correct_by_step) == 3
        assert one.correct_by_step != other.correct_by_step
    assert evaluation_result_from_plain(json.loads(json.dumps(scores[1].as_plain()))) == scores[1]


@pytest.mark.parametrize("name", ["full context", "maml order 1"])
def test_zero_steps_leave_the_network_untrained(name: str, glyphs: SplitDataset, folder: Path) -> None:
    """The first weights are selected, and they are those that a training of the same seed begins with."""
    recipe = dataclasses.replace(recipe_of(FORMS[name]), steps=0)
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert (result.status, result.steps_done, result.selected_step) == ("complete", 0, 0)
    assert result.curves == {
        "validation_accuracy": ((0, result.validation_accuracy),),
        "validation_loss": ((0, result.validation_loss),),
    }
    assert result.weights_digest == weights_digest(first_weights(recipe, glyphs.meta_train.image_shape))
    again = run_trial(dataclasses.replace(recipe, seed=1), TrialRun(folder=folder.with_name("other"), dataset=glyphs))
    assert again.weights_digest != result.weights_digest
    assert text(run_trial(recipe, TrialRun(folder=folder.with_name("again"), dataset=glyphs))) == text(result)


def test_zero_steps_with_retraining_leave_the_network_untrained(glyphs: SplitDataset, folder: Path) -> None:
    watched = ValidationSettings(shape=SHAPE, every=5, episodes=10, patience=5)
    recipe = glyphs_recipe(steps=0, retrain=True, validation=watched)
    once = run_trial(dataclasses.replace(recipe, retrain=False), TrialRun(folder=folder.with_name("once"), dataset=glyphs))
    result = run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert result.weights_digest == once.weights_digest
    assert set(result.curves) == {"validation_accuracy", "validation_loss"}


def test_metric_algorithms_cannot_be_scored_after_adaptation_steps(glyphs: SplitDataset, folder: Path) -> None:
    result = run_trial(glyphs_recipe(steps=5), TrialRun(folder=folder, dataset=glyphs))
    with pytest.raises(RecipeError, match="does not adapt"):
        evaluate_trial(result, Evaluation(shape=SHAPE, adaptation_steps=1), folder=folder, dataset=glyphs)
