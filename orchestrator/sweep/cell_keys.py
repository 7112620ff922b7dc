"""Maps the keys of sweep files to fields of recipes and evaluations, and to the algorithm, backbone or data set that has them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from fsl_core.algorithms.catalogue import ALGORITHMS
from fsl_core.backbones.catalogue import BACKBONES
from fsl_core.errors import SettingError
from fsl_core.recipe.data_settings import DataSettings, owners_of_choices
from fsl_core.recipe.setting import Description, description_of

FILLED_FROM: Mapping[str, str] = {
    "train_way": "way",
    "train_shot": "shot",
    "validation_way": "train_way",
    "validation_shot": "train_shot",
    "evaluation_adaptation_steps": "adaptation_steps",
    "validation_adaptation_steps": "evaluation_adaptation_steps",
    "inductive": "algorithm",
    "batch_norm": "algorithm",
    "rotations": "dataset",
    **dict.fromkeys(owners_of_choices(), "dataset"),
}
"""The key from which another one gets its default."""
WHERE_IT_ADAPTS = ("evaluation_adaptation_steps", "inductive", "validation_adaptation_steps")
"""The keys of evaluations and validations that only adapting algorithms have."""
_PREFIXES = {
    "episode.": "train_",
    "validation.shape.": "validation_",
    "validation.": "validation_",
    "evaluation.shape.": "",
    "evaluation.": "evaluation_",
}
_KEYS = {"validation.patience": "patience", "validation.selection": "selection", "evaluation.inductive": "inductive"}


@dataclass(frozen=True)
class Choice:
    """A key whose value adds settings: ``algorithm``, ``backbone`` or ``dataset``, with the settings that each value adds."""

    key: str
    brings: Mapping[str, Mapping[str, dataclasses.Field[Any]]]

    def owners(self, key: str) -> tuple[str, ...]:
        """The values that add a key."""
        return tuple(name for name, fields in self.brings.items() if key in fields)


@dataclass(frozen=True, kw_only=True)
class BroughtKey:
    """A key that only some algorithms, backbones or data sets have; it is None in a cell of another.

    ``kind``: the type of its values, including None; ``description``: that of its field.
    """

    name: str
    choice: str
    kind: Any
    description: Description


@cache
def choices() -> tuple[Choice, ...]:
    """The keys whose values add others, from the catalogues."""
    images = {item.name: item for item in dataclasses.fields(DataSettings)}
    own = owners_of_choices()
    datasets = dict.fromkeys(name for owners in own.values() for name in owners)
    return (
        Choice("algorithm", {name: _fields(kind) for name, kind in ALGORITHMS.items()}),
        Choice("backbone", {name: _fields(kind) for name, kind in BACKBONES.items()}),
        Choice("dataset", {name: {key: images[key] for key in own if name in own[key]} for name in datasets}),
    )


@cache
def brought_keys() -> Mapping[str, BroughtKey]:
    """Every key that some choice adds, in the order of the catalogues."""
    kinds: Mapping[str, Mapping[str, type[Any]]] = {"algorithm": ALGORITHMS, "backbone": BACKBONES}
    found: dict[str, BroughtKey] = {}
    for choice in choices():
        for value, fields in choice.brings.items():
            hints = _hints(kinds[choice.key][value] if choice.key in kinds else DataSettings)
            for key, item in fields.items():
                known = found.get(key)
                kind = hints[key] | None if known is None else known.kind | hints[key]
                described = description_of(item) if known is None else known.description
                found[key] = BroughtKey(name=key, choice=choice.key, kind=kind, description=described)
    return found


def reject_inapplicable(settings: object) -> None:
    """Reject a setting that the cell's algorithm or backbone does not have.

    Raises:
        SettingError: with the setting, its value, and the algorithms or backbones that have it.
    """
    for choice in choices()[:2]:  # DataSettings rejects those of data sets
        chosen = getattr(settings, choice.key)
        for key in dict.fromkeys(key for fields in choice.brings.values() for key in fields):
            if getattr(settings, key) is not None and key not in choice.brings[chosen]:
                problem = f"{choice.key} {chosen!r} has none, only {', '.join(choice.owners(key))}"
                raise SettingError(key, getattr(settings, key), problem, beside=(choice.key,))


def switches_off(key: str, settings: object) -> bool:
    """Whether a cell's algorithm or backbone has the key, with None as a value that switches a feature off."""
    own = (choice.brings.get(getattr(settings, choice.key), {}) for choice in choices())
    return any(key in fields and bool(fields[key].metadata.get("none_is_off")) for fields in own)


def key_of(field: str) -> str:
    """The key of a field by its path in a recipe, or by ``evaluation.`` and its path in an evaluation."""
    if field in _KEYS:
        return _KEYS[field]
    prefix = next((prefix for prefix in _PREFIXES if field.startswith(prefix)), None)
    return _PREFIXES[prefix] + field.removeprefix(prefix) if prefix else field.rpartition(".")[2]


@contextmanager
def named_by_key() -> Iterator[None]:
    """Renames the settings in errors raised inside the block to their keys."""
    try:
        yield
    except SettingError as error:
        raise error.renamed(key_of) from error


def _fields(kind: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {item.name: item for item in dataclasses.fields(kind)}


def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)
