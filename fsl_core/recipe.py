"""What a trial is: the recipe that makes its weights, and the evaluation that scores them.

Nothing here imports torch, so that planning a sweep is quick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fsl_core.algorithm_settings import AlgorithmSettings, MamlSettings
from fsl_core.backbone_settings import BackboneSettings, Conv4Settings
from fsl_core.checks import one_of, positive, truth, whole
from fsl_core.episode import EpisodeShape
from fsl_core.errors import RecipeError
from fsl_core.fingerprint import fingerprint, from_plain

DatasetName = Literal["omniglot", "mini_imagenet", "glyphs"]
SplitName = Literal["vinyals", "background-evaluation", "ravi", "glyphs"]

SPLITS_OF_DATASET: dict[str, tuple[str, ...]] = {
    "omniglot": ("vinyals", "background-evaluation"),
    "mini_imagenet": ("ravi",),
    "glyphs": ("glyphs",),
}
"""The class splits that each data set offers."""
WITHOUT_ROTATIONS = ("mini_imagenet",)
"""Data sets whose classes are never turned into new ones."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images, and how their classes are split. ``rotations`` adds each class turned by 90, 180 and 270 degrees as new ones."""

    dataset: DatasetName
    split: SplitName
    rotations: bool = True

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, tuple(SPLITS_OF_DATASET))
        one_of("split", self.split, SPLITS_OF_DATASET[self.dataset])
        truth("rotations", self.rotations)
        if self.rotations and self.dataset in WITHOUT_ROTATIONS:
            raise RecipeError(f"rotations is True; a turned photograph of {self.dataset} is no new class: give false")


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
        positive("outer_lr", self.outer_lr)
        if self.halve_every is not None:
            whole("halve_every", self.halve_every, 1)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))


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
        whole("validation every", self.every, 1)
        whole("validation episodes", self.episodes, 2)
        if self.patience is not None:
            whole("patience", self.patience, self.every)
        if self.adaptation_steps is not None:
            whole("validation adaptation_steps", self.adaptation_steps, 0)


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that changes the trained weights. One execution of it is a trial, named by :attr:`fingerprint`.

    ``episode`` is the training shape, ``meta_batch_size`` the episodes of one step, ``steps`` the most steps ever taken: 0 leaves
    the network untrained, which shows what training is worth. ``retrain`` repeats the training on meta-train and meta-validation
    classes together, for the selected step plus the patience, as the authors' code of Prototypical Networks does.

    Raises:
        RecipeError: if a value is impossible, alone or beside the others.
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
        whole("meta_batch_size", self.meta_batch_size, 1)
        truth("retrain", self.retrain)
        if 0 < self.steps < self.validation.every:
            raise RecipeError(
                f"validation every {self.validation.every} steps never happens in {self.steps} steps; lower it to {self.steps} or less"
            )
        check_adaptation_steps("validation adaptation_steps", self.validation.adaptation_steps, self.algorithm)
        if isinstance(self.algorithm, MamlSettings):
            self._check_maml()

    def _check_maml(self) -> None:
        if self.validation.shape.way != self.episode.way:
            raise RecipeError(
                f"validation way is {self.validation.shape.way}; maml answers the {self.episode.way} ways it trains on"
            )
        if self.backbone.batch_norm != "batch":
            raise RecipeError(
                f"batch_norm is {self.backbone.batch_norm!r}; maml normalises by the batch's own statistics: 'batch'"
            )

    @property
    def outer_loss_factor(self) -> float:
        """What the mean cross-entropy of an episode's query is multiplied by before its gradient is taken."""
        if isinstance(self.algorithm, MamlSettings) and self.algorithm.outer_reduction == "sum_over_shot":
            return self.episode.queries / self.episode.shot
        return 1.0

    @property
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
        whole("episodes", self.episodes, 2)
        whole("evaluation seed", self.seed, 0)
        if self.adaptation_steps is not None:
            whole("evaluation adaptation_steps", self.adaptation_steps, 0)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this evaluation."""
        return fingerprint(self)

    def check_suits(self, recipe: TrainingRecipe) -> None:
        """Raises RecipeError when a trial of ``recipe`` cannot be scored so."""
        check_adaptation_steps("evaluation adaptation_steps", self.adaptation_steps, recipe.algorithm)
        if isinstance(recipe.algorithm, MamlSettings) and self.shape.way != recipe.episode.way:
            raise RecipeError(f"way is {self.shape.way}; maml answers the {recipe.episode.way} ways it trains on")


def check_adaptation_steps(name: str, value: int | None, algorithm: AlgorithmSettings) -> None:
    """Raises RecipeError unless there are adaptation steps for MAML and none for the others."""
    if isinstance(algorithm, MamlSettings):
        whole(name, value, 0)
    elif value is not None:
        raise RecipeError(f"{name} is {value!r}; {algorithm.name} does not adapt")


def recipe_from_plain(plain: dict[str, Any]) -> TrainingRecipe:
    """The recipe that :func:`fsl_core.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    recipe: TrainingRecipe = from_plain(TrainingRecipe, plain)
    return recipe


def evaluation_from_plain(plain: dict[str, Any]) -> Evaluation:
    """The evaluation that :func:`fsl_core.fingerprint.as_plain` wrote. Raises RecipeError when the document is not one."""
    evaluation: Evaluation = from_plain(Evaluation, plain)
    return evaluation
