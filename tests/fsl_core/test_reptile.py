"""The learning gate of Reptile: its training lifts unseen classes well above the untrained network, and a spoilt training does not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fsl_core.algorithms.algorithm import MetaGradient
from fsl_core.algorithms.reptile import Reptile, ReptileSettings
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.randomness import Stream, words
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import Evaluation, GradientDescentSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe

GATE_POINTS = 10
"""The honest training gains 20 points; trained on labels that mean nothing it loses some."""
SHAPE, STEPS = EpisodeShape(way=5, shot=1, query=5), 40


def recipe_of(steps: int) -> TrainingRecipe:
    """Training episodes have more shots than those of the evaluation, and a step moves the weights all of the way at first."""
    return glyphs_recipe(
        algorithm=ReptileSettings(adaptation_steps=4, inner_lr=0.02, inner_batch_size=5),
        steps=steps,
        episode=EpisodeShape(way=5, shot=5, query=1),
        meta_batch_size=4,
        backbone=Conv4Settings(filters=16, batch_norm="batch", downsampling="stride"),
        optimiser=GradientDescentSettings(outer_lr=1.0, halve_every=None, decay_steps=STEPS),
        validation=ValidationSettings(shape=SHAPE, every=STEPS, episodes=2, patience=None, selection="last", adaptation_steps=1),
    )


@pytest.fixture
def accuracy(glyphs: SplitDataset, tmp_path: Path) -> Callable[[int], float]:
    """Percent of the queries of frozen meta-test episodes after training for so many steps."""

    def percent(steps: int) -> float:
        folder = tmp_path / str(steps)
        result = run_trial(recipe_of(steps), TrialRun(folder=folder, dataset=glyphs))
        evaluation = Evaluation(shape=SHAPE, episodes=40, adaptation_steps=5)
        return 100 * evaluate_trial(result, evaluation, folder=folder, dataset=glyphs).accuracy

    return percent


def test_training_lifts_unseen_classes_well_above_the_untrained_network(accuracy: Callable[[int], float]) -> None:
    assert accuracy(STEPS) > accuracy(0) + GATE_POINTS


def test_the_gate_rejects_labels_that_mean_nothing(accuracy: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
    """In training the images of a support are dealt to its classes at random."""
    untrained, honest = accuracy(0), EpisodeSampler.batch

    def sabotaged(self: EpisodeSampler, step: int, count: int = 1) -> EpisodeBatch:
        episodes = honest(self, step, count)
        images = episodes.support.flatten(1, 2)
        order = words(Stream(step, "dealt").key, images.shape[:2]).argsort(dim=1)
        dealt = images[torch.arange(count).unsqueeze(1), order]
        return dataclasses.replace(episodes, support=dealt.unflatten(1, episodes.support.shape[1:3]))

    monkeypatch.setattr(EpisodeSampler, "batch", sabotaged)
    assert accuracy(STEPS) < untrained + GATE_POINTS


def test_the_gate_rejects_weights_that_do_not_move(accuracy: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Reptile.meta_gradient

    def still(*given: object, **named: object) -> MetaGradient:
        taught = honest(*given, **named)  # type: ignore[arg-type]
        return dataclasses.replace(taught, gradient={name: torch.zeros_like(part) for name, part in taught.gradient.items()})

    monkeypatch.setattr(Reptile, "meta_gradient", still)
    assert accuracy(STEPS) == accuracy(0)
