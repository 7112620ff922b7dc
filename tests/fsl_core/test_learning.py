"""Learning gates: training helps, and the gate would notice a training that does not."""

import dataclasses
from pathlib import Path

import pytest
import torch

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.algorithms.prototypical import PrototypicalNetworks
from fsl_core.backbone_settings import Conv4Settings
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.datasets.image_bank import ImageBank
from fsl_core.episode import EpisodeBatch, EpisodeShape
from fsl_core.evaluation import count_correct
from fsl_core.recipe import OptimiserSettings, ValidationSettings
from fsl_core.sampler import frozen_episodes
from fsl_core.trial import run_trial
from tests.fsl_core.conftest import glyphs_recipe

SHAPE = EpisodeShape(way=5, shot=1, query=10)
RECIPE = glyphs_recipe(
    steps=150,
    episode=EpisodeShape(way=15, shot=1, query=5),
    backbone=Conv4Settings(filters=32),
    optimiser=OptimiserSettings(outer_lr=2e-3, halve_every=75),
    validation=ValidationSettings(shape=SHAPE, every=50, episodes=50, patience=None),
)
GATE_POINTS = 15


def accuracy(weights: dict[str, torch.Tensor] | None, bank: ImageBank) -> float:
    """Percent on frozen meta-test episodes; None scores the untrained network."""
    algorithm = build_algorithm(RECIPE, image_shape=bank.image_shape, stage="select")
    if weights is not None:
        algorithm.load_state_dict(weights)
    episodes = frozen_episodes(bank.class_sizes, SHAPE, 200, seed=0, stream="meta-test")
    return 100 * int(count_correct(algorithm, bank, episodes).sum()) / (200 * SHAPE.queries)


def trained_accuracy(dataset: SplitDataset, folder: Path) -> float:
    run_trial(RECIPE, folder=folder, dataset=dataset)
    return accuracy(torch.load(folder / "selected.pt", weights_only=True), dataset.meta_test)


def test_training_lifts_unseen_classes_well_above_the_untrained_network(glyphs: SplitDataset, tmp_path: Path) -> None:
    untrained = accuracy(None, glyphs.meta_test)
    assert 25 < untrained < 85
    assert trained_accuracy(glyphs, tmp_path) > untrained + GATE_POINTS


def test_the_gate_rejects_labels_that_do_not_correspond(
    glyphs: SplitDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query's classes are turned by one against the support's: the loss falls all the same, the accuracy must not rise."""
    honest = PrototypicalNetworks.training_logits

    def sabotaged(self: PrototypicalNetworks, episodes: EpisodeBatch) -> torch.Tensor:
        return honest(self, EpisodeBatch(support=episodes.support.roll(1, dims=1), query=episodes.query))

    monkeypatch.setattr(PrototypicalNetworks, "training_logits", sabotaged)
    assert trained_accuracy(glyphs, tmp_path) < accuracy(None, glyphs.meta_test) + GATE_POINTS


def test_the_gate_rejects_a_detached_gradient(glyphs: SplitDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = PrototypicalNetworks.embed
    monkeypatch.setattr(PrototypicalNetworks, "embed", lambda self, images: honest(self, images).detach().requires_grad_())
    assert trained_accuracy(glyphs, tmp_path) < accuracy(None, glyphs.meta_test) + GATE_POINTS


def test_cosine_learns_too(glyphs: SplitDataset, tmp_path: Path) -> None:
    algorithm = dataclasses.replace(RECIPE.algorithm, distance="cosine", scale=10.0)
    recipe = dataclasses.replace(RECIPE, algorithm=algorithm)
    result = run_trial(recipe, folder=tmp_path, dataset=glyphs)
    assert result.validation_accuracy is not None
    assert 100 * result.validation_accuracy > accuracy(None, glyphs.meta_validation) + GATE_POINTS
