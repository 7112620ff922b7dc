"""Glyphs: synthetic handwriting generated from a seed, for tests and for machines without a data set.

A class is two or three curved strokes; each of its images draws them with another tremble. No published result uses it.
Only sums, products and square roots of uniform samples are used, so that every machine generates the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsl_core.datasets.data_set import DataSet, SplitCounts

CLASSES = {"meta_train": 100, "meta_validation": 40, "meta_test": 60}
DRAWERS = 20
SIZE = 28
_SEED = 20170315
_STROKES = 3
_POINTS = 28  # along one stroke: close enough together that the pen leaves no gaps


def make_glyphs() -> tuple[np.ndarray, list[str], list[int]]:
    """Generate all images: uint8 ``[classes * 20, 1, 28, 28]`` with ink 255, the class names, the class sizes."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    names = class_names()
    images = np.concatenate([_draw_class(random) for _ in names])[:, None]
    return images, names, [DRAWERS] * len(names)


def class_names() -> list[str]:
    """The names of all classes, in the order of generation."""
    return [f"glyph{number:03d}" for number in range(sum(CLASSES.values()))]


def split_classes(names: Sequence[str]) -> dict[str, list[str]]:
    """The class names of the three splits, in the order of generation."""
    ends = np.cumsum(list(CLASSES.values()))
    return {part: list(names[end - count : end]) for (part, count), end in zip(CLASSES.items(), ends, strict=True)}


def _draw_class(random: np.random.Generator) -> np.ndarray:
    """The images of one new class: uint8 ``[DRAWERS, SIZE, SIZE]``."""
    strokes = random.integers(2, _STROKES + 1)
    skeleton = random.uniform(0.12, 0.88, size=(1, strokes, 3, 2))
    tremble = random.uniform(-0.07, 0.07, size=(DRAWERS, strokes, 3, 2))
    slant = np.eye(2) + random.uniform(-0.22, 0.22, size=(DRAWERS, 1, 2, 2))
    shift = random.uniform(-0.07, 0.07, size=(DRAWERS, 1, 1, 2))
    controls = (skeleton + tremble - 0.5) @ slant + 0.5 + shift
    width = random.uniform(0.028, 0.05, size=(DRAWERS, 1, 1))
    return _ink(_along(controls), width)


def _along(controls: np.ndarray) -> np.ndarray:
    """Points on quadratic Bezier curves: control points ``[D, strokes, 3, 2]`` to ``[D, strokes * _POINTS, 2]``."""
    time = np.linspace(0.0, 1.0, _POINTS)[:, None]
    start, middle, end = (controls[:, :, index, None, :] for index in range(3))
    points = (1 - time) ** 2 * start + 2 * time * (1 - time) * middle + time**2 * end
    return np.asarray(points.reshape(len(controls), -1, 2))


def _ink(points: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Rasterise a pen of radius ``width`` at every point, with a soft edge of one pixel."""
    centres = (np.arange(SIZE) + 0.5) / SIZE
    across = (centres[None, None, :] - points[:, :, :1]) ** 2
    down = (centres[None, None, :] - points[:, :, 1:]) ** 2
    distance = np.sqrt((down[:, :, :, None] + across[:, :, None, :]).min(axis=1))
    return np.asarray(np.round(np.clip((width - distance) * SIZE + 0.5, 0, 1) * 255), dtype=np.uint8)


GLYPHS = DataSet(
    name="glyphs",
    title="glyphs (invented)",
    licence="none is needed: a program invents them",
    splits=("glyphs",),
    rotations=True,
    image_shape=lambda data: (1, SIZE, SIZE),
    counts=lambda data: SplitCounts(classes=CLASSES, images_per_class=DRAWERS),
    prepared_as=lambda data: "glyphs-28",
    make=lambda request: make_glyphs(),
    split_classes=lambda data, names: split_classes(names),
    found=lambda data, data_root: "invented by a program",
)
"""The synthetic data set."""
