"""What versions before the functional step left behind: their checkpoints are refused by name, their weights are still scored."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.sampler import EpisodeSampler
from fsl_core.errors import CheckpointCorruptError, CheckpointFormatError
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings
from fsl_core.training.checkpoint import load_weights, save_checkpoint, save_weights, weights_digest
from fsl_core.training.path_file import PATH_FILE
from fsl_core.training.result import TrialResult
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun
from tests.fsl_core.conftest import glyphs_recipe
from tests.fsl_core.plain_loop.catalogue import build_algorithm as build_plain

SHAPE = EpisodeShape(way=3, shot=1, query=2)
FORMS: dict[str, AlgorithmSettings] = {
    "prototypical": PrototypicalSettings(),
    "full context": MatchingSettings(scale=10.0, learn_scale=True, fce=True, reading_steps=2, support_order="interleaved"),
    "maml": MamlSettings(),
}
COUNTER = "num_batches_tracked"


def recipe_of(form: str, **changes: Any) -> TrainingRecipe:
    adapts = form == "maml"
    settings = {
        "algorithm": FORMS[form],
        "episode": SHAPE,
        "backbone": Conv4Settings(filters=4, batch_norm="batch" if adapts else "running"),
        "validation": ValidationSettings(shape=SHAPE, every=5, episodes=10, adaptation_steps=1 if adapts else None),
    }
    return glyphs_recipe(**{**settings, **changes})


def module_of(recipe: TrainingRecipe, dataset: SplitDataset) -> nn.Module:
    """The network as earlier versions held it, after it has seen some episodes."""
    module = build_plain(recipe, image_shape=dataset.meta_train.image_shape, stage="select")
    sampler = EpisodeSampler(dataset.meta_train, recipe.episode, recipe.seed, "select/episodes")
    module.training_logits(sampler.batch(0, 3))
    return module


def earlier_checkpoint(recipe: TrainingRecipe, dataset: SplitDataset) -> dict[str, Any]:
    """A checkpoint after five steps as earlier versions wrote it."""
    module = module_of(recipe, dataset)
    optimiser = torch.optim.Adam(module.parameters(), lr=recipe.optimiser.outer_lr, fused=True)
    state = {
        "step": 5, "interval_loss": torch.zeros((), dtype=torch.float64), "interval_accuracy": torch.zeros((), dtype=torch.float64),
        "best_step": 5, "best_loss": 1.0, "best_accuracy": 0.5, "best_weights": module.state_dict(), "stopped_by": None,
        "curves": {"validation_accuracy": [(5, 0.5)]}, "algorithm": module.state_dict(), "optimiser": optimiser.state_dict(),
    }  # fmt: skip
    path = {"device": "cpu", "threads": 1, "episodes_at_once": 1}
    return {"edition": 2, "recipe": recipe.fingerprint, "data": dataset.digest, "path": path, "state": state}


@pytest.mark.parametrize("form", FORMS)
def test_an_earlier_checkpoint_is_refused_by_name_and_kept(form: str, glyphs: SplitDataset, folder: Path) -> None:
    recipe = recipe_of(form)
    earlier = save_checkpoint(folder / "checkpoints" / "select", 5, earlier_checkpoint(recipe, glyphs))
    content = earlier.read_bytes()
    with pytest.raises(CheckpointFormatError, match=f"of trial {recipe.fingerprint} has format 1 .* move it out of the trial"):
        run_trial(recipe, TrialRun(folder=folder, dataset=glyphs))
    assert list(earlier.parent.iterdir()) == [earlier] and earlier.read_bytes() == content
    assert not (folder / PATH_FILE).exists()
    earlier.unlink()
    assert run_trial(recipe, TrialRun(folder=folder, dataset=glyphs)).status == "complete"


def finished(recipe: TrainingRecipe, weights: dict[str, torch.Tensor], dataset: SplitDataset, folder: Path) -> TrialResult:
    """The result of a trial that ended with these weights."""
    untrained = run_trial(dataclasses.replace(recipe, steps=0), TrialRun(folder=folder, dataset=dataset))
    save_weights(folder / "selected.pt", weights)
    return dataclasses.replace(untrained, recipe=recipe, weights_digest=weights_digest(weights))


@pytest.mark.parametrize("form", FORMS)
def test_the_weights_of_an_earlier_version_are_scored(form: str, glyphs: SplitDataset, tmp_path: Path) -> None:
    """They count BatchNorm's batches, which nothing reads: the scores are those of the same weights without it."""
    recipe = recipe_of(form)
    earlier = dict(module_of(recipe, glyphs).state_dict())
    today = {name: values for name, values in earlier.items() if not name.endswith(COUNTER)}
    assert (len(earlier) > len(today)) is (form != "maml")
    evaluation = Evaluation(shape=SHAPE, episodes=30, adaptation_steps=1 if form == "maml" else None)
    scores = [
        evaluate_trial(finished(recipe, weights, glyphs, tmp_path / name), evaluation, folder=tmp_path / name, dataset=glyphs)
        for name, weights in (("earlier", earlier), ("today", today))
    ]
    assert scores[0].answers == scores[1].answers
    assert scores[0].weights_digest == weights_digest(
        load_weights(tmp_path / "earlier" / "selected.pt", digest=weights_digest(earlier))
    )


@pytest.mark.parametrize("change", ["absent", "foreign", "shape", "type"])
def test_weights_of_another_network_are_refused(change: str, glyphs: SplitDataset, folder: Path) -> None:
    recipe = recipe_of("prototypical")
    weights = dict(module_of(recipe, glyphs).state_dict())
    name = "backbone.blocks.0.conv.weight"
    values = weights.pop(name)
    others = {
        "absent": {},
        "foreign": {name: values, "more": values},
        "shape": {name: values[:1]},
        "type": {name: values.double()},
    }
    result = finished(recipe, weights | others[change], glyphs, folder)
    with pytest.raises(CheckpointCorruptError, match="the weights do not fit this algorithm"):
        evaluate_trial(result, Evaluation(shape=SHAPE, episodes=2), folder=folder, dataset=glyphs)
