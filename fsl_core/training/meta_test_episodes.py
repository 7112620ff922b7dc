"""The frozen meta-test episodes of an evaluation."""

from __future__ import annotations

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.episodes.sampler import EpisodeIndices, frozen_episodes
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe

META_TEST_STREAM = "meta-test"
"""The stream that test episodes are sampled from."""


def meta_test_episodes(recipe: TrainingRecipe, evaluation: Evaluation, dataset: SplitDataset) -> EpisodeIndices:
    """The meta-test episodes in order. Raises EpisodeError if the classes do not suffice."""
    pool = dataset.meta_test.pool(distinct_characters=recipe.data.distinct_characters)
    return frozen_episodes(pool, evaluation.shape, evaluation.episodes, seed=evaluation.seed, stream=META_TEST_STREAM)
