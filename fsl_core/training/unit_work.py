"""The work of a trial, counted in units that cost the same wherever they occur. Imports no torch.

A unit names only what its cost depends on: no seed, no rate, no budget. So one measurement serves every trial of a grid with the same
units.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Literal

from fsl_core.datasets.extent import distinct_images, image_shape
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.fingerprint import ADDED_LATER
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.recipe.recipe import Evaluation, TrainingRecipe

Kind = Literal["train", "embed", "compare", "adapt"]


@dataclass(frozen=True, kw_only=True)
class UnitWork:
    """One unit of work, described by what affects its cost.

    ``train``: the gradient of one training episode, and the optimiser's step. ``embed``: one image through the backbone.
    ``compare``: the logits of one episode of embedded images. ``adapt``: the adaptation to one episode in ``adaptation_steps`` steps,
    answered after ``answers`` of them, ``inductive`` or not. ``image_shape`` is ``(C, H, W)``; ``shape`` is that of the episode, None
    for one image. ``matmul_precision`` applies to training; scoring is in full float32.
    """

    kind: Kind
    backbone: BackboneSettings
    image_shape: tuple[int, int, int]
    algorithm: AlgorithmSettings | None = None
    shape: EpisodeShape | None = None
    adaptation_steps: int | None = None
    answers: int | None = None
    inductive: bool | None = None
    matmul_precision: MatmulPrecision = field(default="float32", metadata=ADDED_LATER)


Bill = tuple[tuple[UnitWork, float], ...]
"""Units of work, each with its number of repetitions."""


_PROBED_EPISODES = 16  # for an adapting algorithm, which differentiates some of them together


def probed_episodes(algorithm: AlgorithmSettings) -> int:
    """The number of episodes in the step by which a training episode is probed."""
    return _PROBED_EPISODES if algorithm.adapts else 1


def step_bill(recipe: TrainingRecipe) -> Bill:
    """The work of one training step, without validations."""
    work = UnitWork(
        kind="train",
        backbone=recipe.backbone,
        image_shape=image_shape(recipe.data),
        algorithm=recipe.algorithm.as_costs_go(),
        shape=recipe.episode,
        matmul_precision=recipe.matmul_precision,
    )
    return ((work, float(recipe.meta_batch_size)),)


def validation_bill(recipe: TrainingRecipe) -> Bill:
    """The work of one validation."""
    settings = recipe.validation
    return _scoring(recipe, "meta_validation", settings.shape, settings.episodes, settings.adaptation_steps, answers=1)


def evaluation_bill(recipe: TrainingRecipe, evaluation: Evaluation) -> Bill:
    """The work of an evaluation of a trained trial."""
    steps, answers = evaluation.adaptation_steps, (evaluation.adaptation_steps or 0) + 1
    return _scoring(
        recipe, "meta_test", evaluation.shape, evaluation.episodes, steps, answers=answers, inductive=evaluation.inductive
    )


def earliest_end(recipe: TrainingRecipe) -> int:
    """The fewest steps after which patience can end a trial, including the second training of ``retrain``.

    Without patience it is the whole budget.
    """
    patience, every = recipe.validation.patience, recipe.validation.every
    if patience is None:
        return 2 * recipe.steps if recipe.retrain else recipe.steps
    first = min(recipe.steps, every + every * math.ceil(patience / every))
    second = every + patience  # the best step, at the earliest the first validated one, plus the patience
    return first + second if recipe.retrain and recipe.steps else first


def _scoring(
    recipe: TrainingRecipe,
    part: str,
    shape: EpisodeShape,
    episodes: int,
    adaptation_steps: int | None,
    *,
    answers: int,
    inductive: bool = False,
) -> Bill:
    algorithm = recipe.algorithm.when_scoring()
    unit = functools.partial(UnitWork, backbone=recipe.backbone, image_shape=image_shape(recipe.data))
    if algorithm.adapts:
        work = unit(
            kind="adapt",
            algorithm=algorithm,
            shape=shape,
            adaptation_steps=adaptation_steps,
            answers=answers,
            inductive=inductive,
        )
        return ((work, float(episodes)),)
    sampled = episodes * shape.way * shape.images_per_class
    images = distinct_images(recipe.data)
    embedded = unit(kind="embed"), float(sampled) if images is None else expected_distinct(images[part], sampled)
    return (embedded, (unit(kind="compare", algorithm=algorithm, shape=shape), float(episodes)))


def expected_distinct(images: int, sampled: int) -> float:
    """The expected number of distinct images among ``sampled`` uniform samples of ``images``."""
    return images * -math.expm1(-sampled / images)
