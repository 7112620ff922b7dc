"""The picture of an episode: the very images that a trial is asked about."""

import dataclasses
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

from fsl_core.episodes.class_pool import ClassPool
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.episodes.sampler import frozen_episodes
from fsl_core.recipe.recipe import Evaluation
from fsl_core.training.meta_test_episodes import META_TEST_STREAM
from orchestrator.report import episode_picture
from orchestrator.report.canvas import write_figure
from orchestrator.report.episode_picture import episode_figure
from tests.fsl_core.datasets.small_mini_imagenet import PHOTOGRAPHS, as_folders, make_small, opened, small_pictures
from tests.fsl_core.test_recipe import a_recipe


def test_the_picture_of_an_episode_shows_photographs_in_their_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    dataset = opened(as_folders(tmp_path, small_pictures()))
    dataset = dataclasses.replace(dataset, meta_test=dataset.meta_train)  # the other split has a single class here
    shown: list[np.ndarray] = []

    def keep(support: np.ndarray, query: np.ndarray, path: Path, *, title: str) -> Path:
        shown.extend((support, query))
        return episode_figure(support, query, path, title=title)

    monkeypatch.setattr(episode_picture, "episode_figure", keep)
    evaluation = Evaluation(shape=EpisodeShape(way=2, shot=2, query=3), episodes=2)
    path = episode_picture.draw_first_episode(a_recipe(data=PHOTOGRAPHS), evaluation, dataset, tmp_path / "episode.png")
    assert path.stat().st_size > 0
    assert [part.shape for part in shown] == [(2, 2, 3, 84, 84), (2, 3, 3, 84, 84)]
    bank = dataset.meta_test
    drawn = frozen_episodes(ClassPool(bank.class_sizes), evaluation.shape, 2, seed=0, stream=META_TEST_STREAM)
    for part, index in zip(shown, (drawn.support[0], drawn.query[0]), strict=True):
        expected = bank.images[bank.starts[drawn.classes[0]].unsqueeze(1) + index].numpy() / 255
        np.testing.assert_allclose(part, expected, rtol=1e-6)


def test_the_title_is_within_the_picture_of_a_single_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[matplotlib.figure.Figure] = []

    def keep(figure: matplotlib.figure.Figure, path: Path) -> Path:
        made.append(figure)
        return write_figure(figure, path)

    monkeypatch.setattr(episode_picture, "write_figure", keep)
    title = "CIFAR-FS, meta-test episode 1 of 10,000: 20-way 1-shot, 1 query per class\nsupport left of the line"
    episode_figure(np.zeros((5, 1, 1, 28, 28)), np.zeros((5, 1, 1, 28, 28)), tmp_path / "episode.png", title=title)
    (figure,) = made
    extent = figure.axes[0].title.get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1 and extent.y1 <= figure.bbox.y1
