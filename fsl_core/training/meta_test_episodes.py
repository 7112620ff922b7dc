"""The frozen episodes that an evaluation asks of a trained trial."""

from __future__ import annotations

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.sampler import EpisodeIndices, frozen_episodes
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe

META_TEST_STREAM = "meta-test"
"""The stream that test episodes are sampled from."""


def meta_test_episodes(recipe: TrainingRecipe, evaluation: Evaluation, dataset: SplitDataset) -> EpisodeIndices:
    """The episodes of meta-test classes, in order. Raises EpisodeError where the classes cannot give such episodes."""
    pool = dataset.meta_test.pool(distinct_characters=recipe.data.distinct_characters)
    return frozen_episodes(pool, evaluation.shape, evaluation.episodes, seed=evaluation.seed, stream=META_TEST_STREAM)
