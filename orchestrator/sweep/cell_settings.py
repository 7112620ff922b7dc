"""One cell of the table, flat: the keys of a sweep file, every one filled in."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fsl_core.checks import one_of
from fsl_core.episodes.class_supply import check_supply
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import SettingError, within
from fsl_core.recipe.algorithm_settings import (
    ALGORITHM_NAMES,
    AlgorithmSettings,
    Distance,
    MamlSettings,
    PrototypicalSettings,
    Reduction,
    SupportOrder,
)
from fsl_core.recipe.backbone_settings import (
    BACKBONE_NAMES,
    BackboneSettings,
    BatchNormStatistics,
    Conv4Settings,
    Downsampling,
    Initialisation,
    Padding,
)
from fsl_core.recipe.data_settings import CHOICES_OF_DATASET, WITHOUT_ROTATIONS, DatasetName, DataSettings, Resize, SplitName
from fsl_core.recipe.matmul_precision import MatmulPrecision
from fsl_core.recipe.recipe import Evaluation, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.training.model_selection import Selection
from orchestrator.sweep.cell_keys import FILLED_FROM, named_by_key
from orchestrator.sweep.cell_owners import (
    ALGORITHMS,
    BACKBONES,
    OF_SOME_ONLY,
    WHERE_IT_ADAPTS,
    refuse_what_is_not_had,
    switches_off,
)


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """What one cell trains and how it is scored.

    ``way``, ``shot``, ``query`` and ``evaluation_*`` are the evaluation; ``train_*`` the shape of a training episode (``train_way``
    and ``train_shot`` by default those of the evaluation); ``validation_*`` what model selection watches (by default 5 ways, or
    MAML's own; the training shot; the evaluation's adaptation steps), and ``selection`` which of its curves decides. ``inductive`` is
    the evaluation's too. ``steps`` is the most training steps, ``patience`` the steps without a better validation after which training
    ends (None: never).

    A setting that only some algorithms, backbones or data sets have is None for the others, and giving it to them is an error.
    ``preset`` names the preset that what is not given came from; it changes neither recipe nor evaluation by itself.

    Raises:
        SettingError: if the settings cannot make a recipe and an evaluation, or the data set has too few classes or images for them.
    """

    preset: str | None = None
    algorithm: str = PrototypicalSettings.name
    distance: Distance | None = None
    scale: float | None = None
    learn_scale: bool | None = None
    fce: bool | None = None
    reading_steps: int | None = None
    support_order: SupportOrder | None = None
    clamp: float | None = None
    order: Literal[1, 2] | None = None
    adaptation_steps: int | None = None
    evaluation_adaptation_steps: int | None = None
    inductive: bool | None = None
    inner_lr: float | None = None
    inner_reduction: Reduction | None = None
    outer_reduction: Reduction | None = None
    adapt_batch_norm: bool | None = None
    dataset: DatasetName
    split: SplitName
    rotations: bool | None = None
    distinct_characters: bool = False
    resize: Resize | None = None
    normalise: bool | None = None
    way: int
    shot: int
    query: int = 15
    evaluation_episodes: int = 1000
    evaluation_seed: int = 0
    train_way: int | None = None
    train_shot: int | None = None
    train_query: int = 5
    validation_way: int | None = None
    validation_shot: int | None = None
    validation_query: int = 15
    validation_every: int = 100
    validation_episodes: int = 200
    validation_adaptation_steps: int | None = None
    selection: Selection = "loss"
    patience: int | None = 2000
    steps: int = 10_000
    meta_batch_size: int = 1
    outer_lr: float = 1e-3
    halve_every: int | None = 2000
    first_halving: int | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    backbone: str = Conv4Settings.name
    filters: int | None = None
    downsampling: Downsampling | None = None
    padding: Padding | None = None
    batch_norm: BatchNormStatistics | None = None
    batch_norm_scale: bool | None = None
    batch_norm_epsilon: float | None = None
    initialisation: Initialisation | None = None
    retrain: bool = False
    matmul_precision: MatmulPrecision = "float32"

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, ALGORITHM_NAMES)
        one_of("backbone", self.backbone, BACKBONE_NAMES)
        refuse_what_is_not_had(self, "algorithm", ALGORITHMS)
        refuse_what_is_not_had(self, "backbone", BACKBONES)
        adapts = self.algorithm == MamlSettings.name
        for name in WHERE_IT_ADAPTS:
            if not adapts and getattr(self, name) is not None:
                raise SettingError(name, getattr(self, name), f"{self.algorithm} does not adapt", beside=("algorithm",))
        self._fill("batch_norm", "batch" if adapts else "running")
        self._fill("rotations", self.dataset not in WITHOUT_ROTATIONS)
        for name, default in CHOICES_OF_DATASET.get(self.dataset, {}).items():
            self._fill(name, default)
        if not adapts:
            self._fill("validation_way", 5)
        self._fill_from_others("train_way", "train_shot", "validation_way", "validation_shot")
        for part in (self._algorithm(), self._backbone()):
            for item in dataclasses.fields(part):
                self._fill(item.name, getattr(part, item.name))
        if adapts:
            self._fill("inductive", Evaluation.inductive)
            self._fill_from_others("evaluation_adaptation_steps", "validation_adaptation_steps")
        with named_by_key():
            evaluation, recipe = self.evaluation(), self.recipe(0)  # in the order in which one's settings decide the other's
            evaluation.check_suits(recipe)
            check_supply(recipe, evaluation)

    def has(self, key: str) -> bool:
        """Whether the cell's algorithm, backbone and data set have a setting at all, and can thus differ in it."""
        if getattr(self, key) is not None or key not in OF_SOME_ONLY:
            return True
        own = (ALGORITHMS[self.algorithm], BACKBONES[self.backbone])
        return any(switches_off(key, kind) for kind in own)

    def _fill(self, name: str, value: object) -> None:
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    def _fill_from_others(self, *names: str) -> None:
        for name in names:
            self._fill(name, getattr(self, FILLED_FROM[name]))

    def _algorithm(self) -> AlgorithmSettings:
        made: AlgorithmSettings = self._made(ALGORITHMS[self.algorithm])
        return made

    def _backbone(self) -> BackboneSettings:
        made: BackboneSettings = self._made(BACKBONES[self.backbone])
        return made

    def _made(self, kind: type[Any]) -> Any:
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(kind)}
        return kind(**{name: _as_float(name, value) for name, value in values.items() if value is not None})

    def recipe(self, seed: int) -> TrainingRecipe:
        """What this cell trains with one seed."""
        return TrainingRecipe(
            algorithm=self._algorithm(),
            data=self.data(),
            episode=_shape("episode", self.train_way, self.train_shot, self.train_query),
            validation=self._validation(),
            steps=self.steps,
            seed=seed,
            meta_batch_size=self.meta_batch_size,
            backbone=self._backbone(),
            optimiser=OptimiserSettings(
                outer_lr=_as_float("outer_lr", self.outer_lr),
                halve_every=self.halve_every,
                first_halving=self.first_halving,
                clip_norm=_as_float("clip_norm", self.clip_norm),
                clip_value=_as_float("clip_value", self.clip_value),
            ),
            retrain=self.retrain,
            matmul_precision=self.matmul_precision,
        )

    def data(self) -> DataSettings:
        """The images that this cell trains on and is scored on."""
        made: DataSettings = self._made(DataSettings)
        return made

    def _validation(self) -> ValidationSettings:
        with within("validation"):
            return ValidationSettings(
                shape=_shape("shape", self.validation_way, self.validation_shot, self.validation_query),
                every=self.validation_every,
                episodes=self.validation_episodes,
                patience=self.patience,
                selection=self.selection,
                adaptation_steps=self.validation_adaptation_steps,
            )

    def evaluation(self) -> Evaluation:
        """How this cell scores what it trained."""
        with within("evaluation"):
            return Evaluation(
                shape=_shape("shape", self.way, self.shot, self.query),
                episodes=self.evaluation_episodes,
                seed=self.evaluation_seed,
                adaptation_steps=self.evaluation_adaptation_steps,
                inductive=bool(self.inductive),
            )


def _shape(part: str, way: int | None, shot: int | None, query: int) -> EpisodeShape:
    assert way is not None and shot is not None
    with within(part):
        return EpisodeShape(way=way, shot=shot, query=query)


_FLOATS = ("scale", "clamp", "batch_norm_epsilon", "inner_lr", "outer_lr", "clip_norm", "clip_value")


def _as_float(name: str, value: Any) -> Any:
    """A whole number as the float that it stands for; one that no float can hold stays as it is, to be refused."""
    whole = name in _FLOATS and isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and abs(value) <= sys.float_info.max else value


SETTING_NAMES = tuple(field.name for field in dataclasses.fields(CellSettings))
"""Every key that a cell has."""


def defaults_beside(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that a cell with these settings has by default, but for those that other settings decide."""
    return _defaults(given.get("algorithm", CellSettings.algorithm), given.get("backbone", CellSettings.backbone))


@cache
def _defaults(algorithm: str, backbone: str) -> Mapping[str, Any]:
    parts = (CellSettings, ALGORITHMS.get(algorithm), BACKBONES.get(backbone))
    defaults = {item.name: item.default for part in parts if part is not None for item in dataclasses.fields(part)}
    known = {name: value for name, value in defaults.items() if value not in (None, dataclasses.MISSING)}
    return {name: value for name, value in known.items() if name not in FILLED_FROM}
