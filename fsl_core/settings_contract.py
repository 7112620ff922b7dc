"""The contract of settings: each is described once, has a default, and belongs to a frozen dataclass in a catalogue."""

from __future__ import annotations

import dataclasses
from typing import Any

from fsl_core.algorithms.catalogue import ALGORITHMS
from fsl_core.backbones.catalogue import BACKBONES
from fsl_core.recipe.setting import Description, description_of


class ContractError(AssertionError):
    """An addition breaks the contract."""


def require(truth: object, message: str) -> None:
    """Raises ContractError; ``python -O`` would skip an ``assert``."""
    if not truth:
        raise ContractError(message)


def check_settings(kind: type[Any]) -> None:
    """Check the settings of an algorithm or a backbone: registered by name, frozen, every field described and with a default.

    A field that another algorithm or backbone has too is one key of sweep files, and thus needs the same description.

    Raises:
        ContractError: with the violation.
    """
    require(kind.name in kind.kinds(), f"{kind.name!r} is in no catalogue")
    require(kind.title, "a title for tables is needed")
    require(kind.__dataclass_params__.frozen, f"{kind.__name__} must be frozen: a recipe is a value")
    for item in dataclasses.fields(kind):
        require(
            isinstance(item.metadata.get("setting"), Description), f"{item.name} is not described: field(metadata=setting(…))"
        )
        require(item.default is not dataclasses.MISSING, f"{item.name} needs a default, so that a sweep may leave it out")
        _check_description(item)


def _check_description(item: dataclasses.Field[Any]) -> None:
    """Check that every algorithm and backbone with this field gives it the same meaning and weights."""
    kinds: tuple[type[Any], ...] = (*ALGORITHMS.values(), *BACKBONES.values())
    for other in kinds:
        for said in (description_of(each) for each in dataclasses.fields(other) if each.name == item.name):
            same = (said.meaning, said.lighter) == (description_of(item).meaning, description_of(item).lighter)
            require(same, f"{item.name} is described otherwise by {other.name!r}; a key has one description: reuse its metadata")
