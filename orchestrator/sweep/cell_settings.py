"""One cell of the table, flat: the keys of a sweep file, every one filled in."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints

from fsl_core.checks import one_of
from fsl_core.episodes.class_supply import check_supply
from fsl_core.episodes.episode import EpisodeShape
from fsl_core.errors import SettingError, within
from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.data_settings import DataSettings, data_sets
from fsl_core.recipe.recipe import Evaluation, OptimiserSettings, TrainingRecipe, ValidationSettings
from fsl_core.recipe.setting import Description, description_of
from orchestrator.sweep.cell_keys import (
    FILLED_FROM,
    WHERE_IT_ADAPTS,
    brought_keys,
    named_by_key,
    reject_inapplicable,
    switches_off,
)
from orchestrator.sweep.every_cell import EveryCell


@dataclass(frozen=True, kw_only=True)
class _Cell(EveryCell):
    """The part of a cell that is the same for every catalogue: how it is filled in and what it makes."""

    def __post_init__(self) -> None:
        one_of("algorithm", self.algorithm, tuple(AlgorithmSettings.kinds()))
        one_of("backbone", self.backbone, tuple(BackboneSettings.kinds()))
        one_of("optimiser", self.optimiser, tuple(OptimiserSettings.kinds()))
        reject_inapplicable(self)
        adapts, images = self.adapts, data_sets().get(self.dataset)
        for name in WHERE_IT_ADAPTS:
            if not adapts and getattr(self, name) is not None:
                raise SettingError(name, getattr(self, name), f"{self.algorithm} does not adapt", beside=("algorithm",))
        self._fill("batch_norm", "batch" if adapts else "running")
        self._fill("rotations", images is None or images.rotations)
        for name, default in ({} if images is None else images.choices).items():
            self._fill(name, default)
        if not adapts:
            self._fill("validation_way", 5)
        self._fill_from_others("train_way", "train_shot", "validation_way", "validation_shot")
        for part in (self._algorithm(), self._backbone()):
            for item in dataclasses.fields(cast(Any, part)):
                self._fill(item.name, getattr(part, item.name))
        if adapts:
            self._fill("inductive", Evaluation.inductive)
            self._fill_from_others("evaluation_adaptation_steps", "validation_adaptation_steps")
        with named_by_key():
            evaluation, recipe = self.evaluation(), self.recipe(0)  # in the order in which one's settings decide the other's
            evaluation.check_suits(recipe)
            check_supply(recipe, evaluation)

    @property
    def adapts(self) -> bool:
        """Whether its algorithm learns each episode from its support before it answers."""
        return AlgorithmSettings.kinds()[self.algorithm].adapts

    def has(self, key: str) -> bool:
        """Whether the cell's algorithm, backbone and data set have a setting at all, and can thus differ in it."""
        if getattr(self, key) is not None or (key not in brought_keys() and key not in WHERE_IT_ADAPTS):
            return True
        return switches_off(key, self)

    def _fill(self, name: str, value: object) -> None:
        if getattr(self, name) is None:
            object.__setattr__(self, name, value)

    def _fill_from_others(self, *names: str) -> None:
        for name in names:
            self._fill(name, getattr(self, FILLED_FROM[name]))

    def _algorithm(self) -> AlgorithmSettings:
        made: AlgorithmSettings = self._made(AlgorithmSettings.kinds()[self.algorithm])
        return made

    def _backbone(self) -> BackboneSettings:
        made: BackboneSettings = self._made(BackboneSettings.kinds()[self.backbone])
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
            optimiser=OptimiserSettings.kinds()[self.optimiser](
                outer_lr=_as_float("outer_lr", self.outer_lr),
                halve_every=self.halve_every,
                first_halving=self.first_halving,
                decay_steps=self.decay_steps,
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


def _as_float(name: str, value: Any) -> Any:
    """A whole number as the float that it stands for; one that no float can hold stays as it is, to be refused."""
    whole = name in _floats() and isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and abs(value) <= sys.float_info.max else value


_DOCUMENTATION = """What one cell trains and how it is scored.

``way``, ``shot``, ``query`` and ``evaluation_*`` are the evaluation; ``train_*`` the shape of a training episode (``train_way`` and
``train_shot`` by default those of the evaluation); ``validation_*`` what model selection watches (by default 5 ways, or those of an
algorithm that adapts; the training shot; the evaluation's adaptation steps), and ``selection`` which of its curves decides. ``inductive``
is the evaluation's too. ``steps`` is the most training steps, ``patience`` the steps without a better validation after which training ends
(None: never).

A setting that only some algorithms, backbones or data sets have is None for the others, and giving it to them is an error. Those settings
are the fields of the catalogues' entries. ``preset`` names the preset that what is not given came from; it changes neither recipe nor
evaluation by itself.

Raises:
    SettingError: if the settings cannot make a recipe and an evaluation, or the data set has too few classes or images for them.
"""
if TYPE_CHECKING:

    class CellSettings(_Cell):
        """See above; beside what every cell has it has what the catalogues' entries bring."""

        def __init__(self, **settings: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    CellSettings = dataclasses.make_dataclass(
        "CellSettings",
        [(key.name, key.kind | None, field(default=None)) for key in brought_keys().values()],
        bases=(_Cell,),
        namespace={"__doc__": _DOCUMENTATION, "__module__": __name__},
        frozen=True,
        kw_only=True,
    )

_AFTER = {"algorithm": "algorithm", "black_on_white": "dataset", "backbone": "backbone"}
"""The key of every cell after which the keys are listed that a choice brings."""


def _in_order() -> Iterator[str]:
    for item in dataclasses.fields(EveryCell):
        yield item.name
        if item.name in _AFTER:
            yield from (key.name for key in brought_keys().values() if key.choice == _AFTER[item.name])


SETTING_NAMES = tuple(_in_order())
"""Every key that a cell has, those that a choice brings behind it."""


@cache
def descriptions() -> Mapping[str, Description]:
    """What is said of every key at its field, in the order of the keys."""
    own = {item.name: description_of(item) for item in dataclasses.fields(EveryCell)}
    return {name: own[name] if name in own else brought_keys()[name].description for name in SETTING_NAMES}


@cache
def setting_kinds() -> Mapping[str, Any]:
    """The type of every key's values, None among them where the key may be absent, in the order of the keys."""
    hints = get_type_hints(EveryCell) | {key.name: key.kind | None for key in brought_keys().values()}
    return {name: hints[name] for name in SETTING_NAMES}


@cache
def _floats() -> frozenset[str]:
    return frozenset(name for name, kind in setting_kinds().items() if float in (kind, *get_args(kind)))


def defaults_beside(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that a cell with these settings has by default, but for those that other settings decide."""
    return _defaults(given.get("algorithm", CellSettings.algorithm), given.get("backbone", CellSettings.backbone))


@cache
def _defaults(algorithm: str, backbone: str) -> Mapping[str, Any]:
    parts = (EveryCell, AlgorithmSettings.kinds().get(algorithm), BackboneSettings.kinds().get(backbone))
    fields = (item for part in parts if part is not None for item in dataclasses.fields(cast(Any, part)))
    known = {item.name: item.default for item in fields if item.default not in (None, dataclasses.MISSING)}
    return {name: value for name, value in known.items() if name not in FILLED_FROM}
