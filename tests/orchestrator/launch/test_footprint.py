"""Estimates of memory and disk: the weights are counted as they are."""

from typing import Any

import pytest

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.datasets.extent import image_shape
from fsl_core.randomness import Stream
from fsl_core.training.episode_memory import most_episodes_at_once
from fsl_core.training.step_kind import StepKind
from orchestrator.launch.footprint import measured_paths, memory_bytes, weight_count
from orchestrator.sweep.cell_settings import CellSettings

CONTEXT = {"algorithm": "matching", "distance": "cosine", "fce": True, "reading_steps": 2, "support_order": "by_class"}


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithm": "prototypical", "distance": "cosine"},
        {"algorithm": "matching", "distance": "cosine"},
        {**CONTEXT, "filters": 8},
        {"algorithm": "maml"},
        {"algorithm": "maml", "downsampling": "stride", "filters": 32},
        {"algorithm": "maml", "backbone": "mlp"},
        {"algorithm": "maml", "dataset": "mini_imagenet", "split": "ravi", "filters": 32},
        {"algorithm": "prototypical", "dataset": "mini_imagenet", "split": "ravi"},
        {"algorithm": "prototypical", "dataset": "mini_imagenet", "split": "ravi", "downsampling": "stride"},
        {"algorithm": "matching", "distance": "cosine", "learn_scale": True, "filters": 8},
        {**CONTEXT, "backbone": "mlp"},
        {**CONTEXT, "filters": 8, "learn_scale": True},
        {"algorithm": "maml", "dataset": "mini_imagenet", "split": "ravi", "backbone": "mlp"},
        {"algorithm": "maml", "way": 20},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_the_weights_are_counted_as_they_are(settings: dict[str, Any]) -> None:
    cell = CellSettings(**{"dataset": "omniglot", "split": "vinyals", "way": 5, "shot": 1, **settings})
    recipe = cell.recipe(0)
    shape = (3, 84, 84) if cell.dataset == "mini_imagenet" else (1, 28, 28)
    first = build_algorithm(recipe, image_shape=shape).initial_weights(Stream(0, "weights"))
    assert weight_count(recipe) == sum(weights.numel() for weights in first.values())


def cell(**settings: Any) -> CellSettings:
    return CellSettings(**{"dataset": "cifar_fs", "split": "bertinetto", "way": 5, "shot": 1, "train_query": 1, **settings})


@pytest.mark.parametrize("meta_batch_size", [1, 2, 4, 32])
@pytest.mark.parametrize("algorithm", ["maml", "reptile", "prototypical"])
def test_as_many_paths_are_expected_as_are_measured(algorithm: str, meta_batch_size: int) -> None:
    recipe = cell(algorithm=algorithm, meta_batch_size=meta_batch_size).recipe(0)
    shape = image_shape(recipe.data)
    tried = list(StepKind(recipe=recipe, image_shape=shape, device="cpu", threads=1).candidates())
    assert len(tried) <= measured_paths(recipe, most_episodes_at_once(recipe, shape)) <= len(tried) + 2


MEBIBYTE = 2**20
OMNIGLOT: dict[str, Any] = {"algorithm": "maml", "dataset": "omniglot", "split": "vinyals"}
MINI_IMAGENET: dict[str, Any] = {"algorithm": "maml", "dataset": "mini_imagenet", "split": "ravi", "filters": 32}
TWO_WAY = {"way": 2, "train_way": 2, "validation_way": 2}
RESNET12: dict[str, Any] = {"algorithm": "maml", "backbone": "resnet12", "meta_batch_size": 2}


@pytest.mark.parametrize(
    ("settings", "measured"),
    [
        ({**OMNIGLOT, "downsampling": "stride", "meta_batch_size": 32}, 835),
        ({**MINI_IMAGENET, "order": 1, "adaptation_steps": 5, "meta_batch_size": 4, "train_query": 15}, 1152),
        ({**MINI_IMAGENET, "order": 2, "adaptation_steps": 5, "meta_batch_size": 4, "train_query": 15}, 1209),
        ({**RESNET12, "order": 1, "adaptation_steps": 1}, 1481),
        ({**RESNET12, "order": 2, "adaptation_steps": 1}, 1539),
        ({**RESNET12, "order": 2, "adaptation_steps": 3}, 1559),
        ({**RESNET12, "algorithm": "anil", "order": 2, "adaptation_steps": 3}, 1468),
        ({**RESNET12, "algorithm": "reptile", "adaptation_steps": 3}, 1495),
        ({**RESNET12, "order": 1, "adaptation_steps": 1, **TWO_WAY}, 2409),
        ({"algorithm": "prototypical", "dataset": "omniglot", "split": "vinyals", "train_way": 60, "train_query": 5}, 1211),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_the_predicted_memory_is_one_to_three_times_that_measured(settings: dict[str, Any], measured: int) -> None:
    """Peaks in MiB of a process that trained and scored, on a Xeon with one thread, in the environment of Ray's workers.

    Those of Conv-4 and of two ways include measuring the execution paths.
    """
    assert measured <= memory_bytes(cell(**settings).recipe(0)) / MEBIBYTE <= 3 * measured


def test_each_episode_of_an_adapting_algorithm_has_weights_of_its_own() -> None:
    one, many = (
        memory_bytes(cell(backbone="resnet12", algorithm="maml", order=2, adaptation_steps=steps).recipe(0)) for steps in (1, 3)
    )
    weights = 4 * weight_count(cell(backbone="resnet12", algorithm="maml").recipe(0))
    assert many - one >= 2 * 2 * weights, "at order 2 each step keeps fast weights and their gradient"
    assert memory_bytes(cell(backbone="resnet12", algorithm="maml", order=1).recipe(0)) < one
    assert memory_bytes(cell(backbone="resnet12", algorithm="anil").recipe(0)) < one


def test_full_context_embeddings_of_photographs_take_their_memory_and_disk() -> None:
    """Their LSTMs have 1,600 features: 72 million weights, with which checkpoints, moments and gradients grow."""
    plain, context = (
        CellSettings(**{"dataset": "mini_imagenet", "split": "ravi", "way": 5, "shot": 1, **settings})  # type: ignore[arg-type]
        for settings in ({"algorithm": "matching"}, CONTEXT)
    )
    extra = 4 * (weight_count(context.recipe(0)) - weight_count(plain.recipe(0)))
    assert extra > 2**28
    assert memory_bytes(context.recipe(0)) - memory_bytes(plain.recipe(0)) >= 4 * extra
