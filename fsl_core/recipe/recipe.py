"""Recipes, which determine a trial's weights, and evaluations, which score them.

Imports no torch, so that planning a sweep is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from fsl_core.checks import one_of, positive_float32, size, truth, whole
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import SettingError, within
from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings, Conv4Settings
from fsl_core.recipe.data_settings import DataSettings
from fsl_core.recipe.fingerprint import ADDED_LATER, NONE_IS_OFF, fingerprint, from_plain
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.training.model_selection import Selection

OptimiserName = Literal["adam", "sgd"]


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Adam with a step decay: ``outer_lr`` is halved every ``halve_every`` steps; None keeps it constant.

    ``first_halving`` is the step of the first halving, if that is not ``halve_every``. With ``decay_steps`` the rate is not halved but
    falls linearly, to zero after so many steps.
    Before each step ``clip_norm`` bounds the norm of the whole gradient and ``clip_value`` the magnitude of each entry.
    """

    name: ClassVar[OptimiserName] = "adam"
    outer_lr: float = 1e-3
    halve_every: int | None = field(default=2000, metadata=NONE_IS_OFF)
    first_halving: int | None = field(default=None, metadata=NONE_IS_OFF)
    decay_steps: int | None = field(default=None, metadata=NONE_IS_OFF)
    clip_norm: float | None = field(default=None, metadata=NONE_IS_OFF)
    clip_value: float | None = field(default=None, metadata=NONE_IS_OFF)

    @classmethod
    def kinds(cls) -> Mapping[str, type[OptimiserSettings]]:
        """The settings of every optimiser, by name."""
        return {kind.name: kind for kind in (OptimiserSettings, GradientDescentSettings)}

    def __post_init__(self) -> None:
        positive_float32("outer_lr", self.outer_lr)
        if self.halve_every is not None:
            whole("halve_every", self.halve_every, 1)
        if self.first_halving is not None:
            whole("first_halving", self.first_halving, 1)
            if self.halve_every is None:
                raise SettingError("first_halving", self.first_halving, "the rate is constant", beside=("halve_every",))
        if self.decay_steps is not None:
            whole("decay_steps", self.decay_steps, 1)
            if self.halve_every is not None:
                problem = "a rate that falls linearly is not halved"
                raise SettingError("decay_steps", self.decay_steps, problem, ("halve_every",), {"halve_every": None})
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                positive_float32(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class GradientDescentSettings(OptimiserSettings):
    """Gradient descent without moments, with the same schedules and clipping: Reptile's, whose rate is the share of the way it moves."""

    name: ClassVar[OptimiserName] = "sgd"


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Model selection: the episode shape on meta-validation classes, how often it is scored, on how many frozen episodes, and the patience.

    ``selection`` keeps the weights with the lowest mean cross-entropy of the validation queries (``loss``), with the highest
    ``accuracy``, or the ``last`` ones. ``every`` and ``patience`` count training steps; ``patience`` None trains for the whole budget, as
    ``last`` always does. ``adaptation_steps`` are those on a validation episode; None for algorithms that do not adapt.
    """

    shape: EpisodeShape
    every: int = 100
    episodes: int = 200
    patience: int | None = 2000
    selection: Selection = "loss"
    adaptation_steps: int | None = None

    def __post_init__(self) -> None:
        one_of("selection", self.selection, get_args(Selection))
        whole("every", self.every, 1)
        size("episodes", self.episodes, 2)
        if self.patience is not None:
            whole("patience", self.patience, 1)
            if self.patience < self.every:
                problem = f"with a validation every {self.every} steps it must be at least {self.every}"
                raise SettingError("patience", self.patience, problem, beside=("every",))
            if self.selection == "last":
                problem = "the last weights are those of the whole budget"
                raise SettingError("patience", self.patience, problem, beside=("selection",), give={"patience": None})
        if self.adaptation_steps is not None:
            size("adaptation_steps", self.adaptation_steps, 0)


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that affects the trained weights. One execution of it is a trial, named by :attr:`fingerprint`.

    ``episode`` is the training shape, ``meta_batch_size`` the episodes of one step, ``steps`` the largest number of steps: 0 leaves the
    network untrained, as a baseline. ``retrain`` repeats the training on meta-train and meta-validation classes together, for the
    selected step plus the patience, as the authors' code of Prototypical Networks does. Algorithms that adapt normalise by the
    statistics of a batch, metric algorithms by running statistics, so that a score depends on no other episode. ``matmul_precision``
    applies to matrix products in training on CUDA; validation and evaluation always use full float32.

    Raises:
        SettingError: if a value is impossible, alone or beside the others.
    """

    algorithm: AlgorithmSettings
    data: DataSettings
    episode: EpisodeShape
    validation: ValidationSettings
    steps: int
    seed: int
    meta_batch_size: int = 1
    backbone: BackboneSettings = field(default_factory=Conv4Settings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    retrain: bool = False
    matmul_precision: MatmulPrecision = field(default="float32", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        whole("steps", self.steps, 0)
        whole("seed", self.seed, 0)
        size("meta_batch_size", self.meta_batch_size, 1)
        truth("retrain", self.retrain)
        one_of("matmul_precision", self.matmul_precision, get_args(MatmulPrecision))
        if 0 < self.steps < self.validation.every:
            problem = f"a validation every {self.validation.every} steps never happens in {self.steps} steps"
            raise SettingError("steps", self.steps, problem, ("validation.every",), {"validation.every": self.steps})
        if self.retrain and self.validation.selection == "last":
            problem = "it repeats the training as long as the selected step, and the last weights are not selected"
            raise SettingError("retrain", True, problem, beside=("validation.selection",), give={"retrain": False})
        with within("validation"):
            _check_adaptation_steps(self.validation.adaptation_steps, self.algorithm)
        self._check_batch_norm()
        if self.algorithm.adapts and self.validation.shape.way != self.episode.way:
            raise _other_ways(self, "validation.shape.way", self.validation.shape.way)

    def _check_batch_norm(self) -> None:
        # Scoring embeds each image once for all episodes: with batch statistics a score would depend on the other episodes.
        wanted, statistics = (
            ("batch", "the batch's own statistics")
            if self.algorithm.adapts
            else ("running", "the running statistics of training")
        )
        if self.backbone.batch_norm != wanted:
            problem = f"{self.algorithm.name} normalises by {statistics}: {wanted!r}"
            raise SettingError("backbone.batch_norm", self.backbone.batch_norm, problem, beside=("algorithm",))

    @property
    def outer_loss_factor(self) -> float:
        """The factor of the mean cross-entropy of an episode's queries, before its gradient is taken."""
        return self.algorithm.loss_factor(self.episode)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this recipe: the same for the same work, on every machine and in every sweep."""
        return fingerprint(self)

    @cached_property
    def without_seed(self) -> str:
        """Sixteen hex digits that name this recipe but for its seed: the fingerprint of the same recipe with seed 0."""
        return fingerprint(replace(self, seed=0))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained trial is scored: on frozen episodes of meta-test classes, sampled from ``seed``.

    The seed is independent of training seeds: all trials, algorithms and machines answer the same episodes of the same
    :class:`DataSettings`. ``adaptation_steps`` are fixed beforehand; None for algorithms that do not adapt.
    ``inductive``, only for algorithms that adapt: BatchNorm normalises a query by the statistics of the support, so that an answer does
    not depend on the other queries of its episode; otherwise by those of the queries (transductive, as in the authors' code).
    """

    shape: EpisodeShape
    episodes: int = 1000
    seed: int = 0
    adaptation_steps: int | None = None
    inductive: bool = False

    def __post_init__(self) -> None:
        size("episodes", self.episodes, 2)
        whole("seed", self.seed, 0)
        if self.adaptation_steps is not None:
            size("adaptation_steps", self.adaptation_steps, 0)
        truth("inductive", self.inductive)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this evaluation."""
        return fingerprint(self)

    def check_suits(self, recipe: TrainingRecipe) -> None:
        """Raises SettingError if a trial of ``recipe`` cannot be scored this way; it names this evaluation's fields ``evaluation.…``."""
        with within("evaluation"):
            _check_adaptation_steps(self.adaptation_steps, recipe.algorithm)
            if self.inductive and not recipe.algorithm.adapts:
                raise SettingError("inductive", True, f"{recipe.algorithm.name} answers no query by another in any case")
        if recipe.algorithm.adapts and self.shape.way != recipe.episode.way:
            raise _other_ways(recipe, "evaluation.shape.way", self.shape.way)


def _check_adaptation_steps(value: int | None, algorithm: AlgorithmSettings) -> None:
    """Raises SettingError unless an adapting algorithm has adaptation steps and another has none."""
    if algorithm.adapts:
        size("adaptation_steps", value, 0)
    elif value is not None:
        raise SettingError("adaptation_steps", value, f"{algorithm.name} does not adapt")


def _other_ways(recipe: TrainingRecipe, setting: str, way: int) -> SettingError:
    problem = f"{recipe.algorithm.name} answers the {recipe.episode.way} ways it trains on"
    return SettingError(setting, way, problem, beside=("episode.way",))


def recipe_from_plain(plain: dict[str, Any]) -> TrainingRecipe:
    """Read a recipe from the document of :func:`fsl_core.recipe.fingerprint.as_plain`. Raises RecipeError if it is not one."""
    recipe: TrainingRecipe = from_plain(TrainingRecipe, plain)
    return recipe


def evaluation_from_plain(plain: dict[str, Any]) -> Evaluation:
    """Read an evaluation from the document of :func:`fsl_core.recipe.fingerprint.as_plain`. Raises RecipeError if it is not one."""
    evaluation: Evaluation = from_plain(Evaluation, plain)
    return evaluation
