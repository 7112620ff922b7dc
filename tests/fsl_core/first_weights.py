"""The first weights of MAML's network, and the distributions that they may come from."""

import math
from typing import Any

import numpy as np

from fsl_core.algorithms.catalogue import build_algorithm
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.randomness import Stream
from fsl_core.recipe.algorithm_settings import MamlSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.recipe import ValidationSettings
from tests.fsl_core.conftest import glyphs_recipe

Array = np.ndarray[Any, np.dtype[np.float64]]


def weights_of(backbone: BackboneSettings, *, way: int = 5, seed: int = 0) -> dict[str, Array]:
    """The first weights of MAML, by the number of the layer, the head's last."""
    shape = EpisodeShape(way=way, shot=1, query=1)
    validation = ValidationSettings(shape=shape, every=5, adaptation_steps=1)
    recipe = glyphs_recipe(algorithm=MamlSettings(), backbone=backbone, episode=shape, validation=validation, seed=seed)
    algorithm = build_algorithm(recipe, image_shape=(1, 28, 28))
    weights = algorithm.initial_weights(Stream(seed, "select/weights"))
    return {name: value.double().numpy() for name, value in weights.items()}


def matrices(weights: dict[str, Array]) -> list[Array]:
    return [value for value in weights.values() if value.ndim > 1]


def is_uniform(values: Array, variance: float) -> bool:
    """By the Kolmogorov distance to the uniform distribution of mean 0 with that variance."""
    bound = math.sqrt(3 * variance)
    return is_uniform_between(-bound, bound, values)


def is_uniform_between(low: float, high: float, values: Array) -> bool:
    """By the Kolmogorov distance to the uniform distribution; 2.2 / root n has a chance of 1e-4."""
    ordered = np.sort(values.ravel())
    distance = np.abs((ordered - low) / (high - low) - (np.arange(ordered.size) + 0.5) / ordered.size).max()
    return bool(low <= ordered[0] and ordered[-1] <= high and distance < 2.25 / math.sqrt(ordered.size))


def is_normal(values: Array, deviation: float, *, cut: float = math.inf) -> bool:
    """By the Kolmogorov distance to a normal distribution, given that a value lies within ``cut`` deviations."""
    below = math.erfc(cut / math.sqrt(2)) / 2
    ordered = np.sort(values.ravel()) / deviation
    expected = (np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in ordered]) - below) / (1 - 2 * below)
    distance = np.abs(expected - (np.arange(ordered.size) + 0.5) / ordered.size).max()
    return bool(np.abs(ordered).max() <= cut + 1e-5 and distance < 2.25 / math.sqrt(ordered.size))
