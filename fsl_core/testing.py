"""The contract that every algorithm, backbone and data set fulfils, a plug-in's too.

A test of your own algorithm takes two lines::

    def test_the_contract(tmp_path):
        check_training(algorithm="my_algorithm", folder=tmp_path)

:mod:`orchestrator.testing` checks a whole sweep.
"""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fsl_core.algorithms.catalogue import ALGORITHMS, build_algorithm
from fsl_core.backbones.catalogue import BACKBONES
from fsl_core.backbones.kernels import Kernels
from fsl_core.datasets.catalogue import DATASETS, SplitDataset, open_dataset
from fsl_core.datasets.class_counts import class_counts
from fsl_core.episodes.episode import EpisodeBatch, EpisodeShape
from fsl_core.errors import StopRequested
from fsl_core.randomness import Stream, standard_normal, words
from fsl_core.recipe.data_settings import DataSettings, usual_data
from fsl_core.recipe.fingerprint import as_plain
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe, ValidationSettings, recipe_from_plain
from fsl_core.settings_contract import ContractError, check_settings, require
from fsl_core.training.execution_path import ExecutionPath
from fsl_core.training.progress import Progress
from fsl_core.training.result import EvaluationResult, TrialResult
from fsl_core.training.step import joined as joined_batches
from fsl_core.training.trial import run_trial
from fsl_core.training.trial_evaluation import evaluate_trial
from fsl_core.training.trial_run import TrialRun

__all__ = [
    "SMALL",
    "ContractError",
    "check_data_set",
    "check_loads_without_torch",
    "check_settings",
    "check_training",
    "require",
    "small_evaluation",
    "small_recipe",
]
SMALL: Mapping[str, Mapping[str, Any]] = {"conv4": {"filters": 4}, "resnet12": {"filters": 2, "growth": "doubling"}}
"""Settings that make a backbone quick, where its defaults are not."""
_SHAPE = EpisodeShape(way=3, shot=2, query=2)
_STEPS, _EVERY = 6, 2


def small_recipe(
    *,
    algorithm: str = "prototypical",
    backbone: str = "conv4",
    data: DataSettings | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> TrainingRecipe:
    """A recipe that trains in a second. Each of ``settings`` goes to the algorithm or the backbone, whichever has it."""
    kind, network = ALGORITHMS[algorithm], BACKBONES[backbone]
    chosen = {**SMALL.get(backbone, {}), **(settings or {})}
    return TrainingRecipe(
        algorithm=kind(**_own(kind, chosen)),
        data=data or usual_data("glyphs"),
        episode=_SHAPE,
        validation=ValidationSettings(
            shape=_SHAPE, every=_EVERY, episodes=4, patience=None, adaptation_steps=1 if kind.adapts else None
        ),
        steps=_STEPS,
        seed=seed,
        meta_batch_size=2,
        backbone=network(**{"batch_norm": "batch" if kind.adapts else "running", **_own(network, chosen)}),
    )


def small_evaluation(recipe: TrainingRecipe) -> Evaluation:
    """A quick evaluation of the recipe."""
    return Evaluation(shape=_SHAPE, episodes=5, adaptation_steps=1 if recipe.algorithm.adapts else None)


def check_loads_without_torch(module: str) -> None:
    """Check in a new process that importing a module imports no torch: planning a sweep must be faster than loading torch."""
    require(not _loads_torch(module), f"importing {module} imports torch, or fails")


@functools.cache
def _loads_torch(module: str) -> bool:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode != 0


def check_training(
    *,
    folder: Path,
    algorithm: str = "prototypical",
    backbone: str = "conv4",
    dataset: SplitDataset | None = None,
    data: DataSettings | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Check the whole life of a recipe with the addition: written, read back, trained, stopped, resumed, scored.

    Args:
        folder: an empty folder of this test's own.
        algorithm: by its name.
        backbone: by its name.
        dataset: the images; glyphs if none are given.
        data: their settings.
        settings: of the algorithm or the backbone, such as those that make it small.

    Raises:
        ContractError: with the violation.
    """
    recipe = small_recipe(algorithm=algorithm, backbone=backbone, data=data, settings=settings)
    images = dataset or open_dataset(recipe.data, data_root=None, cache_root=folder / "images")
    _check_recipe(recipe)
    _check_predictions(recipe, images)
    _check_seeds_together(recipe, images)
    whole, resumed = _train(recipe, folder / "whole", images), _stopped_and_resumed(recipe, folder / "resumed", images)
    require(whole == resumed, "a training that is stopped and resumed gives another result than an uninterrupted one")
    require(whole.status == "complete", f"the training is {whole.status}, not complete")
    scores = [_score(whole, folder / name, images) for name in ("whole", "resumed")]
    require(scores[0] == scores[1], "the same weights have two scores")
    untrained = _train(dataclasses.replace(recipe, steps=0), folder / "untrained", images)
    require(untrained.weights_digest != whole.weights_digest, "training changes no weight")
    for settings_of in (recipe.algorithm, recipe.backbone):
        check_loads_without_torch(type(settings_of).__module__)


def check_data_set(data: DataSettings, *, folder: Path, data_root: Path | None = None) -> None:
    """Check a data set: its description matches its images, its splits are disjoint, and opening it again changes nothing.

    Raises:
        ContractError: with the violation.
    """
    described = DATASETS[data.dataset]
    require(described.title and described.licence, "a title for tables and a licence are needed")
    first, again = (open_dataset(data, data_root=data_root, cache_root=folder) for _ in range(2))
    require(first.digest == again.digest, "opening it twice gives two digests")
    parts = (first.meta_train, first.meta_validation, first.meta_test)
    require({bank.image_shape for bank in parts} == {described.image_shape(data)}, "its images have another shape than described")
    names = [name for bank in parts for name in bank.class_names]
    require(len(set(names)) == len(names), "a class is in two splits")
    counts = class_counts(data)
    if counts is not None:
        found = {part: len(getattr(first, part).class_sizes) for part in counts.classes}
        require(found == dict(counts.classes), f"its splits have {found} classes, described are {dict(counts.classes)}")


def _own(kind: type[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(kind)}
    return {name: value for name, value in settings.items() if name in names}


def _check_recipe(recipe: TrainingRecipe) -> None:
    check_settings(type(recipe.algorithm))
    check_settings(type(recipe.backbone))
    others = type(recipe.backbone).forms - {form.name for form in dataclasses.fields(Kernels)}
    require(not others, f"forms are fields of Kernels; it has none of these: {', '.join(sorted(others))}")
    again = recipe_from_plain(as_plain(recipe))
    require(again == recipe and again.fingerprint == recipe.fingerprint, "reading it back from its record gives another recipe")


def _check_predictions(recipe: TrainingRecipe, images: SplitDataset) -> None:
    """Check that the torch-free predictions of a plan match the networks."""
    shape = images.meta_train.image_shape
    weights = build_algorithm(recipe, image_shape=shape).initial_weights(Stream(0, "weights"))
    features = recipe.backbone.features(shape)
    require(recipe.backbone.build(shape).features == features, "features() is not the width of an embedding")
    said = recipe.backbone.weight_count(shape) + recipe.algorithm.weight_count(features, recipe.episode.way)
    found = sum(weight.numel() for weight in weights.values())
    require(said == found, f"weight_count() is {said}, but there are {found} weights")
    head = recipe.backbone.build(shape).initial_head(3, Stream(0, "head"))
    shapes, wanted = {name: tuple(value.shape) for name, value in head.items()}, {"weight": (3, features), "bias": (3,)}
    require(shapes == wanted, f"initial_head() gives tensors of the shapes {shapes}, not {wanted}")


def _check_seeds_together(recipe: TrainingRecipe, images: SplitDataset) -> None:
    """Check that two groups of weights get the same gradients together as each alone."""
    shape = images.meta_train.image_shape
    algorithm = build_algorithm(recipe, image_shape=shape)
    each = [algorithm.initial_weights(Stream(seed, "weights")) for seed in (0, 1)]
    together = {name: torch.stack([weights[name] for weights in each]).double() for name in each[0]}
    episodes = _noise(shape, episodes=2)
    joined = joined_batches([episodes, episodes])
    both = algorithm.meta_gradient(together, joined, loss_factor=1.0, kernels=Kernels())
    for seed in (0, 1):
        own = {name: value[seed : seed + 1] for name, value in together.items()}
        alone = algorithm.meta_gradient(own, episodes, loss_factor=1.0, kernels=Kernels())
        for name, gradient in alone.gradient.items():
            torch.testing.assert_close(both.gradient[name][seed], gradient[0], rtol=1e-8, atol=1e-10)


def _noise(image_shape: tuple[int, int, int], *, episodes: int) -> EpisodeBatch:
    shapes = [(episodes, _SHAPE.way, images, *image_shape) for images in (_SHAPE.shot, _SHAPE.query)]
    support, query = (standard_normal(key, shape) for key, shape in enumerate(shapes))
    return EpisodeBatch(support=support, query=query, words=words(len(shapes), (episodes,)))


def _train(recipe: TrainingRecipe, folder: Path, images: SplitDataset) -> TrialResult:
    return run_trial(recipe, TrialRun(folder=folder, dataset=images, path=ExecutionPath()))


def _stopped_and_resumed(recipe: TrainingRecipe, folder: Path, images: SplitDataset) -> TrialResult:
    reached: list[int] = []

    def observe(progress: Progress) -> None:
        reached.append(progress.step)

    try:
        run_trial(
            recipe,
            TrialRun(
                folder=folder,
                dataset=images,
                path=ExecutionPath(),
                observe=observe,
                should_stop=lambda: bool(reached) and reached[-1] >= _EVERY,
            ),
        )
        raise ContractError("the training ignored the request to stop")
    except StopRequested:
        return _train(recipe, folder, images)


def _score(result: TrialResult, folder: Path, images: SplitDataset) -> EvaluationResult:
    return evaluate_trial(result, small_evaluation(result.recipe), folder=folder, dataset=images)
