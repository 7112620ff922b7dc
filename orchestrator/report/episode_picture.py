"""Draws the first frozen meta-test episode of a trial."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from fsl_core.atomic_file import write_atomically
from fsl_core.datasets.catalogue import SplitDataset
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe
from fsl_core.training.meta_test_episodes import meta_test_episodes
from orchestrator.report.canvas import Figure, default_style, write_figure
from orchestrator.report.line_styles import THEIRS

_MOST_KEPT = 32
_LEAST_WIDTH = 3.6
_CHARACTERS_PER_INCH = 13
"""How much of a title fits an inch at its size; the width of few images holds few words."""
_drawn: dict[tuple[str, DataSettings, Evaluation], bytes] = {}
"""The newest pictures by their content, which a cell's seeds share: Matplotlib takes as long as a short trial."""


def draw_first_episode(recipe: TrainingRecipe, evaluation: Evaluation, dataset: SplitDataset, path: Path) -> Path:
    """Draw the support and the query images of the first episode of a recipe's evaluation into a PNG file."""
    shown = (dataset.digest, recipe.data, evaluation)
    if shown in _drawn:
        write_atomically(path, _drawn[shown])
        return path
    bank, drawn = dataset.meta_test, meta_test_episodes(recipe, evaluation, dataset)
    classes = drawn.classes[0].unsqueeze(1)
    support, query = (bank.pixels(classes.expand_as(index), index) for index in (drawn.support[0], drawn.query[0]))
    title = f"{dataset.name}, meta-test episode 1 of {evaluation.episodes}: {evaluation.shape}\nsupport left of the line"
    done = episode_figure(support.numpy(), query.numpy(), path, title=title)
    if len(_drawn) >= _MOST_KEPT:
        _drawn.clear()
    _drawn[shown] = done.read_bytes()
    return done


@default_style()
def episode_figure(support: np.ndarray, query: np.ndarray, path: Path, *, title: str) -> Path:
    """Draws one episode: a row per class, with its support images left of the line and its query images right of it.

    ``support``: ``[way, shot, C, H, W]``; ``query``: ``[way, query, C, H, W]``; both in 0..1.
    """
    way, shot = support.shape[:2]
    shown = np.concatenate([support, query], axis=1)
    tiles = shown.transpose(0, 3, 1, 4, 2).reshape(way * shown.shape[3], shown.shape[1] * shown.shape[4], shown.shape[2])
    width = max(_LEAST_WIDTH, 0.45 * shown.shape[1] + 0.6)
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, int(_CHARACTERS_PER_INCH * width))]
    figure = Figure(figsize=(width, 0.45 * way + 0.5 + 0.15 * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(tiles.squeeze(2) if tiles.shape[2] == 1 else tiles, cmap="gray_r", vmin=0, vmax=1)
    axes.axvline(shot * shown.shape[4] - 0.5, color=THEIRS, linewidth=1.5)
    axes.set_xticks([]), axes.set_yticks([])
    axes.set_title("\n".join(lines), fontsize=8)
    return write_figure(figure, path)
