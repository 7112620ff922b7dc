"""No episode of a trial, of whatever kind, has two turns of one character where the recipe says so."""

from pathlib import Path

import pytest
import torch

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ROTATIONS
from fsl_core.episodes import sampler
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.feasibility import check_feasible
from fsl_core.episodes.sampler import EpisodeIndices
from fsl_core.errors import EpisodeError
from fsl_core.recipe.backbone_settings import MlpSettings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe

MANY = EpisodeShape(way=20, shot=1, query=1)  # of 40, 60 and 100 characters: drawn as classes, two nearly always share one
TEST = Evaluation(shape=MANY, episodes=10)


def recipe_of(distinct: bool) -> TrainingRecipe:
    return glyphs_recipe(
        data=DataSettings(dataset="glyphs", split="glyphs", distinct_characters=distinct),
        episode=MANY,
        validation=ValidationSettings(shape=MANY, every=5, episodes=10, patience=5),
        steps=5,
        retrain=True,
        backbone=MlpSettings(batch_norm="running"),
    )


@pytest.mark.parametrize("distinct", [False, True])
def test_episodes_keep_rotations_apart_in_training_validation_and_test(
    distinct: bool, glyphs: SplitDataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, seen = sampler.sample_episodes, []

    def noted(*arguments: object, **more: object) -> EpisodeIndices:
        drawn = honest(*arguments, **more)  # type: ignore[arg-type]
        seen.append(drawn.classes)
        return drawn

    monkeypatch.setattr(sampler, "sample_episodes", noted)
    result = run_trial(recipe_of(distinct), TrialRun(folder=folder, dataset=glyphs))
    answered = evaluate_trial(result, TEST, folder=folder, dataset=glyphs)
    assert len(seen) == 1 + 5 + 10 + 1  # the frozen validation episodes, five steps, ten of retraining, the frozen test episodes
    shared = [characters_that_meet_again(classes) for classes in (seen[0], torch.cat(seen[1:6]), torch.cat(seen[6:-1]), seen[-1])]
    assert all(count == 0 for count in shared) if distinct else all(shared)
    names = [answered.classes.names_of(episode) for episode in range(TEST.episodes)]
    assert distinct is all(len({name.split("@")[0] for name in episode}) == MANY.way for episode in names)


def characters_that_meet_again(classes: torch.Tensor) -> int:
    return sum(len(row) - len(set(row)) for row in (classes // ROTATIONS).tolist())


def test_characters_are_counted_without_their_rotations(glyphs: SplitDataset) -> None:
    shape = EpisodeShape(way=61, shot=1, query=1)
    check_feasible(recipe_of(False), [Evaluation(shape=shape)], glyphs)
    with pytest.raises(EpisodeError, match=r"glyphs has no meta-test episode .* way is 61, but there are only 60 characters"):
        check_feasible(recipe_of(True), [Evaluation(shape=shape)], glyphs)
