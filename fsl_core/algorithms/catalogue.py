"""The algorithms of this project and of plug-ins, by name. torch is imported only to build one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsl_core.algorithms.anil import AnilSettings
from fsl_core.algorithms.reptile import ReptileSettings
from fsl_core.catalogue import Catalogue, settings_problem
from fsl_core.recipe.algorithm_settings import AlgorithmSettings, MamlSettings, MatchingSettings, PrototypicalSettings

if TYPE_CHECKING:
    from fsl_core.algorithms.algorithm import Algorithm
    from fsl_core.recipe.recipe import TrainingRecipe

ALGORITHMS: Catalogue[type[AlgorithmSettings]] = Catalogue(
    "fsl.algorithms",
    built_in=(PrototypicalSettings, MatchingSettings, MamlSettings, AnilSettings, ReptileSettings),
    problem=settings_problem(AlgorithmSettings),
)
"""The settings of every algorithm; their ``build`` makes it."""


def build_algorithm(recipe: TrainingRecipe, *, image_shape: tuple[int, int, int]) -> Algorithm:
    """The algorithm of a recipe for images of ``image_shape`` ``(C, H, W)``; it holds no weights."""
    return recipe.algorithm.build(recipe.backbone.build(image_shape), way=recipe.episode.way)
