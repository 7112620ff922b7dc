"""What a trial is: the recipe that makes its weights, the evaluation that scores them, and the fingerprint of both.

Nothing here imports torch, so that planning a sweep is quick.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from fsl_core.episode import EpisodeShape
from fsl_core.errors import RecipeError

SCHEMA_VERSION = 1
"""Raised by hand when the meaning of a recipe changes, so that old results are never taken for new ones."""

DatasetName = Literal["omniglot", "glyphs"]
SplitName = Literal["vinyals", "background-evaluation", "glyphs"]
Distance = Literal["squared_euclidean", "cosine"]

SPLITS_OF_DATASET: dict[str, tuple[str, ...]] = {
    "omniglot": ("vinyals", "background-evaluation"),
    "glyphs": ("glyphs",),
}
"""The class splits that each data set offers."""


def _one_of(name: str, value: object, accepted: tuple[object, ...]) -> None:
    if value not in accepted:
        raise RecipeError(f"{name} is {value!r}; accepted: {', '.join(map(repr, accepted))}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RecipeError(f"{name} is {value!r}; it must be an integer of at least {least}")


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise RecipeError(f"{name} is {value!r}; it must be a finite number above 0")


@dataclass(frozen=True, kw_only=True)
class PrototypicalSettings:
    """Prototypical Networks (Snell et al. 2017): the distance, and the factor its negative is multiplied by to give logits."""

    name: ClassVar[str] = "prototypical"
    distance: Distance = "squared_euclidean"
    scale: float = 1.0

    def __post_init__(self) -> None:
        _one_of("distance", self.distance, get_args(Distance))
        _positive("scale", self.scale)


AlgorithmSettings = PrototypicalSettings
"""The settings of any algorithm: a union that grows with the catalogue."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images, and how their classes are split. ``rotations`` adds each class turned by 90, 180 and 270 degrees as new ones."""

    dataset: DatasetName
    split: SplitName
    rotations: bool = True

    def __post_init__(self) -> None:
        _one_of("dataset", self.dataset, tuple(SPLITS_OF_DATASET))
        _one_of("split", self.split, SPLITS_OF_DATASET[self.dataset])


@dataclass(frozen=True, kw_only=True)
class BackboneSettings:
    """The embedding network: Conv-4, four blocks of 3x3 convolution, BatchNorm, ReLU and 2x2 max-pool."""

    name: ClassVar[str] = "conv4"
    filters: int = 64

    def __post_init__(self) -> None:
        _whole("filters", self.filters, 1)


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Adam with a step decay: ``outer_lr`` is halved every ``halve_every`` steps; None keeps it constant."""

    name: ClassVar[str] = "adam"
    outer_lr: float = 1e-3
    halve_every: int | None = 2000

    def __post_init__(self) -> None:
        _positive("outer_lr", self.outer_lr)
        if self.halve_every is not None:
            _whole("halve_every", self.halve_every, 1)


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Model selection: the shape watched on meta-validation classes, how often, on how many frozen episodes, and the patience.

    ``every`` and ``patience`` count training steps; ``patience`` None trains to the end of the budget.
    """

    shape: EpisodeShape
    every: int = 100
    episodes: int = 200
    patience: int | None = 2000

    def __post_init__(self) -> None:
        _whole("validation every", self.every, 1)
        _whole("validation episodes", self.episodes, 2)
        if self.patience is not None:
            _whole("patience", self.patience, self.every)


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that changes the trained weights. One execution of it is a trial, named by :attr:`fingerprint`.

    ``episode`` is the training shape, ``meta_batch_size`` the episodes of one step, ``steps`` the most steps ever taken.
    ``retrain`` repeats the training on meta-train and meta-validation classes together, for the selected step plus the patience,
    as the authors' code of Prototypical Networks does.

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
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    retrain: bool = False

    def __post_init__(self) -> None:
        _whole("steps", self.steps, 1)
        _whole("seed", self.seed, 0)
        _whole("meta_batch_size", self.meta_batch_size, 1)
        if self.validation.every > self.steps:
            raise RecipeError(
                f"validation every {self.validation.every} steps never happens in {self.steps} steps; lower it to {self.steps} or less"
            )

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this recipe: the same for the same work, on every machine and in every sweep."""
        return fingerprint(self)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained trial is scored: frozen episodes of meta-test classes, drawn on the CPU from ``seed``.

    The seed is apart from every training seed: all trials, algorithms and machines answer the same episodes.
    """

    shape: EpisodeShape
    episodes: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        _whole("episodes", self.episodes, 2)
        _whole("evaluation seed", self.seed, 0)

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that name this evaluation."""
        return fingerprint(self)


def as_plain(value: Any) -> Any:
    """A settings value as plain JSON types. A field that is None is left out, so an optional field added later changes no old fingerprint.

    A whole float is written as a float, whatever the caller wrote (``1`` and ``1.0`` are the same learning rate).
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    plain: dict[str, Any] = {}
    name = getattr(type(value), "name", None)
    if isinstance(name, str):
        plain["name"] = name
    for item in dataclasses.fields(value):
        inner = getattr(value, item.name)
        if inner is None:
            continue
        plain[item.name] = float(inner) if item.type == "float" else as_plain(inner)
    return plain


def canonical_json(value: TrainingRecipe | Evaluation) -> str:
    """The one text of a recipe or an evaluation that its fingerprint hashes: sorted keys, no spaces, defaults filled in."""
    document = {"kind": type(value).__name__, "schema": SCHEMA_VERSION, "value": as_plain(value)}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def fingerprint(value: TrainingRecipe | Evaluation) -> str:
    """The first sixteen hex digits of the SHA-256 of :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def recipe_from_plain(plain: dict[str, Any]) -> TrainingRecipe:
    """The recipe that :func:`as_plain` wrote. Raises RecipeError when the document is not one."""
    try:
        algorithm = dict(plain["algorithm"])
        _one_of("algorithm", algorithm.pop("name"), (PrototypicalSettings.name,))
        validation = dict(plain["validation"])
        validation["shape"] = EpisodeShape(**validation["shape"])
        rest = {key: plain[key] for key in ("steps", "seed", "meta_batch_size", "retrain")}
        return TrainingRecipe(
            algorithm=PrototypicalSettings(**algorithm),
            data=DataSettings(**plain["data"]),
            episode=EpisodeShape(**plain["episode"]),
            validation=ValidationSettings(**{"patience": None, **validation}),
            backbone=BackboneSettings(**_without_name(plain["backbone"])),
            optimiser=OptimiserSettings(**{"halve_every": None, **_without_name(plain["optimiser"])}),
            **rest,
        )
    except (KeyError, TypeError) as error:
        raise RecipeError(f"not a recipe: {error}") from error


def evaluation_from_plain(plain: dict[str, Any]) -> Evaluation:
    """The evaluation that :func:`as_plain` wrote. Raises RecipeError when the document is not one."""
    try:
        return Evaluation(shape=EpisodeShape(**plain["shape"]), episodes=plain["episodes"], seed=plain["seed"])
    except (KeyError, TypeError) as error:
        raise RecipeError(f"not an evaluation: {error}") from error


def _without_name(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "name"}
