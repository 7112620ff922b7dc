"""Figures show what is in the records: pixels move with the numbers, and nothing is drawn where nothing is known."""

from pathlib import Path

import numpy as np
from PIL import Image

from orchestrator.report.aggregate import aggregate
from orchestrator.report.figures import cells_figure, curves_figure, episode_figure, line_style
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

BLUE, ORANGE, GREEN = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def inked(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(image - np.array(colour)).max(axis=2) < 8).sum())


def forest(folder: Path, correct: dict[int, list[int]]) -> np.ndarray:
    plan = plan_of(folder)
    rows = aggregate(plan, records_of(plan, correct), registries())
    return picture(cells_figure(rows, folder / "cells.png", title="cells"))


def test_the_forest_has_our_numbers_only_once_there_are_some(tmp_path: Path) -> None:
    none, some = forest(tmp_path, {}), forest(tmp_path, {0: [74, 75], 1: [70]})
    assert inked(some, BLUE) > inked(none, BLUE) > 0  # the legend's own marker
    assert inked(none, ORANGE) > 0


def test_the_forest_moves_with_the_numbers(tmp_path: Path) -> None:
    assert not np.array_equal(forest(tmp_path, {0: [74]}), forest(tmp_path, {0: [70]}))


def test_a_long_title_stays_within_the_picture(tmp_path: Path) -> None:
    rows = aggregate(plan := plan_of(tmp_path), records_of(plan, {}), registries())
    image = picture(cells_figure(rows, tmp_path / "cells.png", title="A title of very many words " * 8))
    assert (image[:, :2] == 255).all() and (image[:, -2:] == 255).all()


def test_no_two_of_many_lines_look_alike() -> None:
    """The first table with more kinds of trials than colours had two blue lines."""
    styles = [line_style(number) for number in range(28)]
    assert len(set(styles)) == 28


def test_curves_are_drawn_of_the_trials_that_are_done(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    empty = picture(curves_figure(plan, {}, tmp_path / "none.png"))
    drawn = picture(curves_figure(plan, records_of(plan, {0: [74]}), tmp_path / "some.png"))
    assert inked(drawn, BLUE) > inked(empty, BLUE)


def test_an_episode_shows_every_image_in_its_place(tmp_path: Path) -> None:
    """Images that are ink all over make black tiles: as many as there are, support left of the line and query right of it."""
    support, query = np.zeros((3, 1, 1, 8, 8)), np.zeros((3, 2, 1, 8, 8))
    blank = picture(episode_figure(support, query, tmp_path / "blank.png", title="t"))
    support[1], query[2, 1] = 1, 1
    image = picture(episode_figure(support, query, tmp_path / "episode.png", title="t"))
    line = np.flatnonzero((np.abs(image - np.array(ORANGE)).max(axis=2) < 8).sum(axis=0) > 10)
    changed = np.abs(image - blank).max(axis=2) > 128
    left, right = changed[:, : line[0]], changed[:, line[-1] + 1 :]
    assert left.sum() > 100 and right.sum() > 100
    assert np.flatnonzero(left.any(axis=1)).mean() < np.flatnonzero(right.any(axis=1)).mean()  # class 1 above class 2


def test_colour_images_keep_their_colours(tmp_path: Path) -> None:
    support, query = np.zeros((2, 1, 3, 8, 8)), np.zeros((2, 1, 3, 8, 8))
    support[:, :, 1] = 1
    image = picture(episode_figure(support, query, tmp_path / "colour.png", title="t"))
    assert inked(image, (0, 255, 0)) > 100


def test_trainings_that_differ_in_one_setting_have_a_line_of_their_own(tmp_path: Path) -> None:
    """Three learning rates were once drawn as three seeds of one training."""
    text = """
name: reported
title: Learning rates
seeds: [0, 1, 2]
fixed: {dataset: omniglot, split: vinyals, way: 5, shot: 1}
grid: {outer_lr: [0.001, 0.002, 0.004]}
"""
    plan = plan_of(tmp_path, text)
    image = picture(curves_figure(plan, records_of(plan, {0: [74], 1: [74], 2: [74]}), tmp_path / "curves.png"))
    assert all(inked(image, colour) for colour in (BLUE, ORANGE, GREEN))
