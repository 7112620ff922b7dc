"""Estimates of memory and disk: the weights are counted as they are."""

from typing import Any

import pytest

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.randomness import Stream
from orchestrator.launch.footprint import memory_bytes, weight_count
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


def test_full_context_embeddings_of_photographs_take_their_memory_and_disk() -> None:
    """Their LSTMs have 1,600 features: 72 million weights, with which checkpoints, moments and gradients grow."""
    plain, context = (
        CellSettings(**{"dataset": "mini_imagenet", "split": "ravi", "way": 5, "shot": 1, **settings})  # type: ignore[arg-type]
        for settings in ({"algorithm": "matching"}, CONTEXT)
    )
    extra = 4 * (weight_count(context.recipe(0)) - weight_count(plain.recipe(0)))
    assert extra > 2**28
    assert memory_bytes(context.recipe(0)) - memory_bytes(plain.recipe(0)) >= 4 * extra
