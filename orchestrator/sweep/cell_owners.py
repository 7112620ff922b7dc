"""The keys of sweep files that only some algorithms, backbones or data sets have, and whose they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fsl_core.errors import SettingError
from fsl_core.recipe.algorithm_settings import MamlSettings, MatchingSettings, PrototypicalSettings
from fsl_core.recipe.backbone_settings import Conv4Settings, MlpSettings
from fsl_core.recipe.data_settings import CHOICES_OF_DATASET

WHERE_IT_ADAPTS = ("evaluation_adaptation_steps", "inductive", "validation_adaptation_steps")
"""The keys of evaluations and validations that only an algorithm that adapts has."""
ALGORITHMS: Mapping[str, type[Any]] = {kind.name: kind for kind in (PrototypicalSettings, MatchingSettings, MamlSettings)}
"""The settings of every algorithm, by its name."""
BACKBONES: Mapping[str, type[Any]] = {kind.name: kind for kind in (Conv4Settings, MlpSettings)}
"""The settings of every backbone, by its name."""
OF_SOME_ONLY = frozenset(
    [item.name for kind in (*ALGORITHMS.values(), *BACKBONES.values()) for item in dataclasses.fields(kind)]
    + list(WHERE_IT_ADAPTS)
    + [name for choices in CHOICES_OF_DATASET.values() for name in choices]
)
"""The keys that only some algorithms, backbones or data sets have; they are None in a cell of another."""


def refuse_what_is_not_had(settings: object, what: str, kinds: Mapping[str, type[Any]]) -> None:
    """Refuse a setting that a cell is given and that its ``what``, such as its algorithm, has not, others of these ``kinds`` having it.

    Raises:
        SettingError: with the setting, its value and those that have it.
    """
    chosen = getattr(settings, what)
    having = {name: [item.name for item in dataclasses.fields(kind)] for name, kind in kinds.items()}
    for setting in dict.fromkeys(name for names in having.values() for name in names):
        if getattr(settings, setting) is not None and setting not in having[chosen]:
            owners = ", ".join(name for name, names in having.items() if setting in names)
            problem = f"{what} {chosen!r} has none, only {owners}"
            raise SettingError(setting, getattr(settings, setting), problem, beside=(what,))


def switches_off(key: str, kind: type[Any]) -> bool:
    """Whether settings of this kind have the key, and None is a value of it that switches something off."""
    return any(item.name == key and item.metadata.get("none_is_off") for item in dataclasses.fields(kind))
