"""The steps timed on a GPU. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from benchmarks.workloads import (
    MINI_IMAGENET,
    OMNIGLOT,
    maml_mini_imagenet,
    maml_omniglot,
    prototypical,
    training_recipe,
)
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings
from fsl_core.recipe.recipe import TrainingRecipe


@dataclass(frozen=True, kw_only=True)
class GpuWorkload:
    """A training step with a title."""

    title: str
    recipe: TrainingRecipe


def _matching(data: Any, shot: int, **settings: Any) -> TrainingRecipe:
    shape = EpisodeShape(way=5, shot=shot, query=15)
    return training_recipe(MatchingSettings(**settings), data, shape, clip_norm=1.0)


COMPILED = ("Omniglot 5-way 1-shot, 32 episodes, strides",)
"""Words of the titles of the steps that are timed on a compiled path too, unless others are given: compiling takes a minute for each."""

WORKLOADS = (
    GpuWorkload(title="MAML order 2, Omniglot 5-way 1-shot, 32 episodes, strides", recipe=maml_omniglot(2, strides=True)),
    GpuWorkload(title="MAML order 1, Omniglot 5-way 1-shot, 32 episodes, strides", recipe=maml_omniglot(1, strides=True)),
    GpuWorkload(
        title="MAML order 2, Omniglot 20-way 1-shot, 16 episodes, 5 steps, strides",
        recipe=maml_omniglot(2, strides=True, episodes=16, way=20, adaptation_steps=5),
    ),
    GpuWorkload(title="MAML order 2, miniImageNet 5-way 5-shot, 15 queries, 2 episodes, 5 steps", recipe=maml_mini_imagenet(2)),
    GpuWorkload(title="MAML order 1, miniImageNet 5-way 5-shot, 15 queries, 2 episodes, 5 steps", recipe=maml_mini_imagenet(1)),
    GpuWorkload(title="Prototypical Networks, Omniglot 60-way 1-shot, 5 queries", recipe=prototypical(60, 1)),
    GpuWorkload(
        title="Prototypical Networks, miniImageNet 20-way 5-shot, 15 queries",
        recipe=training_recipe(PrototypicalSettings(), MINI_IMAGENET, EpisodeShape(way=20, shot=5, query=15)),
    ),
    GpuWorkload(title="Matching Networks, Omniglot 5-way 1-shot, 15 queries", recipe=_matching(OMNIGLOT, 1)),
    GpuWorkload(
        title="Matching Networks with full context, miniImageNet 5-way 5-shot, 15 queries",
        recipe=_matching(MINI_IMAGENET, 5, fce=True, reading_steps=2, support_order="by_class"),
    ),
)
"""The steps of the table, in the order of timing."""


def tiny(workload: GpuWorkload) -> GpuWorkload:
    """The same step with hardly any work, to check on any machine that it can be timed."""
    recipe, shape = workload.recipe, EpisodeShape(way=2, shot=1, query=1)
    algorithm = recipe.algorithm
    if isinstance(algorithm, MamlSettings):
        algorithm = replace(algorithm, adaptation_steps=min(2, algorithm.adaptation_steps))
    changed = replace(
        recipe,
        algorithm=algorithm,
        episode=shape,
        validation=replace(recipe.validation, shape=shape),
        meta_batch_size=min(2, recipe.meta_batch_size),
        backbone=replace(cast(Conv4Settings, recipe.backbone), filters=2),
    )
    return replace(workload, recipe=changed)
