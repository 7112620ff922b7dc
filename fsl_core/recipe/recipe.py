"""What a trial is: the recipe that makes its weights, and the evaluation that scores them.

Nothing here imports torch, so that planning a sweep is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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

    ``first_halving`` is the step after which it is halved first, where that is not ``halve_every`` itself. With ``decay_steps`` it is
    not halved: it falls linearly, and is zero after so many steps.
    Before each step ``clip_norm`` bounds the norm of the whole gradient and ``clip_value`` the size of each of its entries.
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
    """Model selection: the shape watched on meta-validation classes, how often, on how many frozen episodes, and the patience.

    ``selection`` keeps the weights with the lowest mean cross-entropy of the watched queries (``loss``), with the highest ``accuracy``,
    or the ``last`` ones. ``every`` and ``patience`` count training steps; ``patience`` None trains to the end of the budget, as
    ``last`` always does. ``adaptation_steps`` are those of MAML on a watched episode; None for algorithms that do not adapt.
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
    """Everything that changes the trained weights. One execution of it is a trial, named by :attr:`fingerprint`.

    ``episode`` is the training shape, ``meta_batch_size`` the episodes of one step, ``steps`` the most steps ever taken: 0 leaves
    the network untrained, which shows what training is worth. ``retrain`` repeats the training on meta-train and meta-validation
    classes together, for the selected step plus the patience, as the authors' code of Prototypical Networks does. MAML normalises by
    the statistics of a batch; an algorithm that compares embeddings by running ones, so that a score depends on no other episode.
    ``matmul_precision`` is that of the training's products on CUDA; whatever it is, validation and evaluation score in full float32.

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
        # Scoring embeds each image once for all episodes: by a batch's own statistics a score would depend on the other episodes.
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
        """What the mean cross-entropy of an episode's query is multiplied by before its gradient is taken."""
        return self.algorithm.loss_factor(self.episode)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this recipe: the same for the same work, on every machine and in every sweep."""
        return fingerprint(self)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained trial is scored: frozen episodes of meta-test classes, drawn from ``seed``.

    The seed is apart from every training seed: all trials, algorithms and machines answer the same episodes of the same
    :class:`DataSettings`. ``adaptation_steps`` are those of MAML, fixed beforehand; None for algorithms that do not adapt.
    ``inductive``, of MAML alone: BatchNorm normalises a query by the statistics of the support, so that an answer does not depend on
    the other queries of its episode; otherwise by those of the query itself (transductive, as in the authors' code).
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
        """Raises SettingError when a trial of ``recipe`` cannot be scored so; it names this evaluation's fields ``evaluation.…``."""
        with within("evaluation"):
            _check_adaptation_steps(self.adaptation_steps, recipe.algorithm)
            if self.inductive and not recipe.algorithm.adapts:
                raise SettingError("inductive", True, f"{recipe.algorithm.name} answers no query by another in any case")
        if recipe.algorithm.adapts and self.shape.way != recipe.episode.way:
            raise _other_ways(recipe, "evaluation.shape.way", self.shape.way)


def _check_adaptation_steps(value: int | None, algorithm: AlgorithmSettings) -> None:
    """Raises SettingError unless there are adaptation steps for an algorithm that adapts and none for the others."""
    if algorithm.adapts:
        size("adaptation_steps", value, 0)
    elif value is not None:
        raise SettingError("adaptation_steps", value, f"{algorithm.name} does not adapt")


def _other_ways(recipe: TrainingRecipe, setting: str, way: int) -> SettingError:
    problem = f"{recipe.algorithm.name} answers the {recipe.episode.way} ways it trains on"
    return SettingError(setting, way, problem, beside=("episode.way",))


def recipe_from_plain(plain: dict[str, Any]) -> TrainingRecipe:
    """The recipe that :func:`fsl_core.recipe.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    recipe: TrainingRecipe = from_plain(TrainingRecipe, plain)
    return recipe


def evaluation_from_plain(plain: dict[str, Any]) -> Evaluation:
    """The evaluation that :func:`fsl_core.recipe.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    evaluation: Evaluation = from_plain(Evaluation, plain)
    return evaluation
