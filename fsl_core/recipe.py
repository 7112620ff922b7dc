"""What a trial is: the recipe that makes its weights, and the evaluation that scores them.

Nothing here imports torch, so that planning a sweep is quick.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

from fsl_core.algorithm_settings import AlgorithmSettings, MamlSettings
from fsl_core.backbone_settings import BackboneSettings, Conv4Settings
from fsl_core.checks import one_of, positive_float32, size, truth, whole
from fsl_core.episode import EpisodeShape
from fsl_core.errors import SettingError, within
from fsl_core.fingerprint import fingerprint, from_plain

DatasetName = Literal["omniglot", "mini_imagenet", "glyphs"]
SplitName = Literal["vinyals", "background-evaluation", "ravi", "glyphs"]
Resize = Literal["antialiased", "nearest"]

SPLITS_OF_DATASET: dict[str, tuple[str, ...]] = {
    "omniglot": ("vinyals", "background-evaluation"),
    "mini_imagenet": ("ravi",),
    "glyphs": ("glyphs",),
}
"""The class splits that each data set offers."""
WITHOUT_ROTATIONS = ("mini_imagenet",)
"""Data sets whose classes are never turned into new ones."""
CHOICES_OF_DATASET: Mapping[str, Mapping[str, object]] = {
    "omniglot": {"resize": "antialiased"},
    "mini_imagenet": {"normalise": True},
}
"""The settings that only some data sets have, each with its default."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images, and how their classes are split. ``rotations`` adds each class turned by 90, 180 and 270 degrees as new ones.

    ``resize``, of Omniglot: ``antialiased``, in greys, or ``nearest``, which keeps every pixel ink or paper, as the authors of
    Prototypical Networks and of MAML have them. ``normalise``, of miniImageNet: by each channel's mean and deviation, or else x/255
    alone, as the authors of MAML. Both are None for a data set without the choice, and their defaults where it has one.
    """

    dataset: DatasetName
    split: SplitName
    rotations: bool = True
    resize: Resize | None = None
    normalise: bool | None = None

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, tuple(SPLITS_OF_DATASET))
        one_of("split", self.split, SPLITS_OF_DATASET[self.dataset], beside=("dataset",))
        truth("rotations", self.rotations)
        if self.rotations and self.dataset in WITHOUT_ROTATIONS:
            problem = f"a turned photograph of {self.dataset} is no new class"
            raise SettingError("rotations", True, problem, beside=("dataset",), give={"rotations": False})
        self._fill_choices()
        if self.resize is not None:
            one_of("resize", self.resize, typing.get_args(Resize))
        if self.normalise is not None:
            truth("normalise", self.normalise)

    def _fill_choices(self) -> None:
        for owner, choices in CHOICES_OF_DATASET.items():
            for name, default in choices.items():
                given = getattr(self, name)
                if owner == self.dataset:
                    object.__setattr__(self, name, default if given is None else given)
                elif given is not None:
                    raise SettingError(name, given, f"dataset {self.dataset!r} has none, only {owner}", beside=("dataset",))


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Adam with a step decay: ``outer_lr`` is halved every ``halve_every`` steps; None keeps it constant.

    Before each step ``clip_norm`` bounds the norm of the whole gradient and ``clip_value`` the size of each of its entries.
    """

    name: ClassVar[str] = "adam"
    outer_lr: float = 1e-3
    halve_every: int | None = 2000
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        positive_float32("outer_lr", self.outer_lr)
        if self.halve_every is not None:
            whole("halve_every", self.halve_every, 1)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                positive_float32(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Model selection: the shape watched on meta-validation classes, how often, on how many frozen episodes, and the patience.

    ``every`` and ``patience`` count training steps; ``patience`` None trains to the end of the budget. ``adaptation_steps`` are those
    of MAML on a watched episode; None for algorithms that do not adapt.
    """

    shape: EpisodeShape
    every: int = 100
    episodes: int = 200
    patience: int | None = 2000
    adaptation_steps: int | None = None

    def __post_init__(self) -> None:
        whole("every", self.every, 1)
        size("episodes", self.episodes, 2)
        if self.patience is not None:
            whole("patience", self.patience, 1)
            if self.patience < self.every:
                problem = f"with a validation every {self.every} steps it must be at least {self.every}"
                raise SettingError("patience", self.patience, problem, beside=("every",))
        if self.adaptation_steps is not None:
            size("adaptation_steps", self.adaptation_steps, 0)


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that changes the trained weights. One execution of it is a trial, named by :attr:`fingerprint`.

    ``episode`` is the training shape, ``meta_batch_size`` the episodes of one step, ``steps`` the most steps ever taken: 0 leaves
    the network untrained, which shows what training is worth. ``retrain`` repeats the training on meta-train and meta-validation
    classes together, for the selected step plus the patience, as the authors' code of Prototypical Networks does.

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

    def __post_init__(self) -> None:
        whole("steps", self.steps, 0)
        whole("seed", self.seed, 0)
        size("meta_batch_size", self.meta_batch_size, 1)
        truth("retrain", self.retrain)
        if 0 < self.steps < self.validation.every:
            problem = f"a validation every {self.validation.every} steps never happens in {self.steps} steps"
            raise SettingError("steps", self.steps, problem, ("validation.every",), {"validation.every": self.steps})
        with within("validation"):
            _check_adaptation_steps(self.validation.adaptation_steps, self.algorithm)
        if isinstance(self.algorithm, MamlSettings):
            self._check_maml()

    def _check_maml(self) -> None:
        if self.validation.shape.way != self.episode.way:
            raise _other_ways("validation.shape.way", self.validation.shape.way, self.episode.way)
        if self.backbone.batch_norm != "batch":
            problem = "maml normalises by the batch's own statistics: 'batch'"
            raise SettingError("backbone.batch_norm", self.backbone.batch_norm, problem, beside=("algorithm",))

    @property
    def outer_loss_factor(self) -> float:
        """What the mean cross-entropy of an episode's query is multiplied by before its gradient is taken."""
        if isinstance(self.algorithm, MamlSettings) and self.algorithm.outer_reduction == "sum_over_shot":
            return self.episode.queries / self.episode.shot
        return 1.0

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this recipe: the same for the same work, on every machine and in every sweep."""
        return fingerprint(self)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained trial is scored: frozen episodes of meta-test classes, drawn on the CPU from ``seed``.

    The seed is apart from every training seed: all trials, algorithms and machines answer the same episodes. ``adaptation_steps``
    are those of MAML, fixed beforehand; None for algorithms that do not adapt.
    """

    shape: EpisodeShape
    episodes: int = 1000
    seed: int = 0
    adaptation_steps: int | None = None

    def __post_init__(self) -> None:
        size("episodes", self.episodes, 2)
        whole("seed", self.seed, 0)
        if self.adaptation_steps is not None:
            size("adaptation_steps", self.adaptation_steps, 0)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this evaluation."""
        return fingerprint(self)

    def check_suits(self, recipe: TrainingRecipe) -> None:
        """Raises SettingError when a trial of ``recipe`` cannot be scored so; it names this evaluation's fields ``evaluation.…``."""
        with within("evaluation"):
            _check_adaptation_steps(self.adaptation_steps, recipe.algorithm)
        if isinstance(recipe.algorithm, MamlSettings) and self.shape.way != recipe.episode.way:
            raise _other_ways("evaluation.shape.way", self.shape.way, recipe.episode.way)


def _check_adaptation_steps(value: int | None, algorithm: AlgorithmSettings) -> None:
    """Raises SettingError unless there are adaptation steps for MAML and none for the others."""
    if isinstance(algorithm, MamlSettings):
        size("adaptation_steps", value, 0)
    elif value is not None:
        raise SettingError("adaptation_steps", value, f"{algorithm.name} does not adapt")


def _other_ways(setting: str, way: int, trained: int) -> SettingError:
    return SettingError(setting, way, f"maml answers the {trained} ways it trains on", beside=("episode.way",))


def recipe_from_plain(plain: dict[str, Any]) -> TrainingRecipe:
    """The recipe that :func:`fsl_core.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    recipe: TrainingRecipe = from_plain(TrainingRecipe, plain)
    return recipe


def evaluation_from_plain(plain: dict[str, Any]) -> Evaluation:
    """The evaluation that :func:`fsl_core.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    evaluation: Evaluation = from_plain(Evaluation, plain)
    return evaluation
