"""Learning gates: training lifts every algorithm well above its untrained network, and the gate notices a training that does not."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fsl_core.algorithms.algorithm import MetaGradient
from fsl_core.algorithms.anil import Anil, AnilSettings
from fsl_core.algorithms.maml import Maml
from fsl_core.algorithms.metric import MetricNetworks
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import Evaluation, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe

GATE_POINTS = 25
"""Honest trainings gain 35 points and more, sabotaged ones less than 15."""
SHAPE = EpisodeShape(way=5, shot=1, query=5)
FORMS: dict[str, AlgorithmSettings] = {
    "prototypical": PrototypicalSettings(),
    "prototypical cosine": PrototypicalSettings(distance="cosine", scale=10.0),
    "matching": MatchingSettings(distance="squared_euclidean"),
    "matching cosine": MatchingSettings(distance="cosine", scale=10.0),
    "matching full context": MatchingSettings(scale=10.0, fce=True, reading_steps=2, support_order="by_class"),
    "maml order 1": MamlSettings(order=1),
    "maml order 2": MamlSettings(order=2),
    "anil order 2": AnilSettings(order=2, inner_lr=10.0),
}
every_form = pytest.mark.parametrize("algorithm", FORMS.values(), ids=FORMS.keys())


def recipe_of(algorithm: AlgorithmSettings) -> TrainingRecipe:
    """A training of seconds on glyphs."""
    adapts = algorithm.adapts
    return glyphs_recipe(
        algorithm=algorithm,
        steps=100,
        episode=EpisodeShape(way=5 if adapts else 12, shot=1, query=5),
        meta_batch_size=4 if adapts else 1,
        backbone=Conv4Settings(filters=16, **({"batch_norm": "batch", "downsampling": "stride"} if adapts else {})),
        optimiser=OptimiserSettings(outer_lr=5e-3 if adapts else 4e-3, halve_every=None if adapts else 50),
        validation=ValidationSettings(shape=SHAPE, every=50, episodes=20, patience=None, adaptation_steps=1 if adapts else None),
    )


def untrained_form(recipe: TrainingRecipe) -> TrainingRecipe:
    """The same network as it was first drawn. Running statistics are gathered all the same: without them any training would beat it."""
    if recipe.algorithm.adapts:
        return dataclasses.replace(recipe, steps=0)
    return dataclasses.replace(recipe, steps=50, optimiser=OptimiserSettings(outer_lr=1e-30))


def accuracy(recipe: TrainingRecipe, dataset: SplitDataset, folder: Path) -> float:
    """Percent on frozen meta-test episodes of a trial of ``recipe``."""
    result = run_trial(recipe, TrialRun(folder=folder, dataset=dataset))
    steps = 1 if recipe.algorithm.adapts else None
    evaluation = Evaluation(shape=SHAPE, episodes=80, adaptation_steps=steps)
    return 100 * evaluate_trial(result, evaluation, folder=folder, dataset=dataset).accuracy


@pytest.fixture(scope="module")
def untrained(glyphs: SplitDataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[TrainingRecipe], float]:
    """The accuracy of a recipe's network with its first weights."""
    return functools.cache(lambda recipe: accuracy(untrained_form(recipe), glyphs, tmp_path_factory.mktemp("untrained")))


@pytest.fixture
def gain(
    glyphs: SplitDataset, tmp_path: Path, untrained: Callable[[TrainingRecipe], float]
) -> Callable[[AlgorithmSettings], float]:
    """Points that a training gains on the same network untrained."""

    def gained(algorithm: AlgorithmSettings) -> float:
        recipe = recipe_of(algorithm)
        return accuracy(recipe, glyphs, tmp_path) - untrained(recipe)

    return gained


@every_form
def test_training_lifts_unseen_classes_well_above_the_untrained_network(
    algorithm: AlgorithmSettings, gain: Callable[[AlgorithmSettings], float]
) -> None:
    assert gain(algorithm) > GATE_POINTS


@every_form
def test_the_gate_rejects_labels_that_do_not_correspond(
    algorithm: AlgorithmSettings, gain: Callable[[AlgorithmSettings], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In training the support's classes are turned by one against the query's."""
    honest = EpisodeSampler.batch

    def sabotaged(self: EpisodeSampler, step: int, count: int = 1) -> EpisodeBatch:
        episodes = honest(self, step, count)
        return dataclasses.replace(episodes, support=episodes.support.roll(1, dims=1))

    monkeypatch.setattr(EpisodeSampler, "batch", sabotaged)
    assert gain(algorithm) < GATE_POINTS


@every_form
def test_the_gate_rejects_a_detached_gradient(
    algorithm: AlgorithmSettings, gain: Callable[[AlgorithmSettings], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def detached(honest: Callable[..., MetaGradient]) -> Callable[..., MetaGradient]:
        def meta_gradient(*given: object, **named: object) -> MetaGradient:
            taught = honest(*given, **named)
            return dataclasses.replace(taught, gradient={name: torch.zeros_like(part) for name, part in taught.gradient.items()})

        return meta_gradient

    kinds: tuple[Any, ...] = (MetricNetworks, Maml, Anil)
    for kind in kinds:
        monkeypatch.setattr(kind, "meta_gradient", detached(kind.meta_gradient))
    assert gain(algorithm) < GATE_POINTS
