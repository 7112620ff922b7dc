"""A picture of the first frozen meta-test episode: what a trial was asked."""

from __future__ import annotations

from pathlib import Path

from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.recipe import Evaluation
from fsl_core.sampler import frozen_episodes
from fsl_core.trial import META_TEST_STREAM
from orchestrator.report.figures import episode_figure


def draw_first_episode(evaluation: Evaluation, dataset: SplitDataset, path: Path) -> Path:
    """Draw the support and the query images of the first episode of an evaluation into a PNG file."""
    bank = dataset.meta_test
    drawn = frozen_episodes(
        bank.class_sizes, evaluation.shape, evaluation.episodes, seed=evaluation.seed, stream=META_TEST_STREAM
    )
    classes = drawn.classes[0].unsqueeze(1)
    support, query = (bank.pixels(classes.expand_as(index), index) for index in (drawn.support[0], drawn.query[0]))
    title = f"{dataset.name}, meta-test episode 1 of {evaluation.episodes}: {evaluation.shape}\nsupport left of the line"
    return episode_figure(support.numpy(), query.numpy(), path, title=title)
