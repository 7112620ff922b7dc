"""Settings are described once, at their fields; sweep keys, weights of differences, names, columns and documents derive from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Word = Callable[[Any], str]
"""Formats a value of a setting for the names of trials and cells."""
Form = Literal["always", "unless_usual"]
Weight = Literal["material", "budget", "noted"]
"""The effect of a different setting on the comparison of two numbers.

``material``: the numbers answer different questions and are not compared. ``budget``: the training was shorter. ``noted``: the same
question with a minor difference that the reader should know.
"""
_KEY = "setting"


@dataclass(frozen=True, kw_only=True)
class Lighter:
    """A reason why two numbers that differ in a setting are still comparable.

    ``where``: the values of other settings, by their sweep keys, for which this holds.
    """

    reason: str
    weight: Literal["budget", "noted"] = "noted"
    where: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Description:
    """The description of a setting at its field.

    ``meaning``: its meaning, with its unit. ``lighter``: when a difference in it is not material. ``word``: formats a value for names;
    None gives the key and the value. ``form``: whether it is part of an algorithm's name, ``always`` or ``unless_usual``, which omits
    the default. ``alike``: for a setting that does not affect costs, the value that represents all others. ``none_is_off``: None is a
    value that switches something off. ``presumed``: a published number whose source does not state it is taken to have the default.
    """

    meaning: str
    lighter: tuple[Lighter, ...] = ()
    word: Word | None = None
    form: Form | None = None
    alike: object = None
    none_is_off: bool = False
    presumed: bool = False


def setting(
    meaning: str,
    *,
    weight: Weight = "material",
    reason: str = "",
    lighter: tuple[Lighter, ...] = (),
    word: Word | None = None,
    form: Form | None = None,
    alike: object = None,
    none_is_off: bool = False,
    added_later: bool = False,
    presumed: bool = False,
) -> Mapping[str, Any]:
    """The metadata of a dataclass field that is a setting.

    Args:
        meaning: its meaning, with its unit; shown in the documents, ``fsl plan --settings`` and the exports.
        weight: the effect of a difference on a comparison with a published number, whatever the other settings.
        reason: why, if the weight is not ``material``.
        lighter: the same, if it depends on other settings.
        word: formats a value for the names of trials and cells.
        form: whether it is part of its algorithm's name.
        alike: for an algorithm's setting that does not affect the time of a computation, a value that represents all others.
        none_is_off: None switches something off, instead of meaning that the setting does not exist.
        added_later: the field was added after fingerprints were published: they omit it at its default.
        presumed: a published number whose source does not state it is taken to have the default; another value is a difference.
    """
    always = () if weight == "material" else (Lighter(reason=reason, weight=weight),)
    description = Description(
        meaning=meaning,
        lighter=(*always, *lighter),
        word=word,
        form=form,
        alike=alike,
        none_is_off=none_is_off,
        presumed=presumed,
    )
    return MappingProxyType({_KEY: description, "none_is_off": none_is_off, "added_later": added_later})


def description_of(item: dataclasses.Field[Any]) -> Description:
    """The description of a setting at its field; without one, its name."""
    found = item.metadata.get(_KEY)
    return found if isinstance(found, Description) else Description(meaning=item.name.replace("_", " "))


def either(true: str, false: str) -> Word:
    """Formats a truth value."""
    return lambda value: true if value else false


def named(names: Mapping[Any, str]) -> Word:
    """Formats each value by its name, or unchanged if it has none."""
    return lambda value: names.get(value, str(value))


def called(name: str) -> Word:
    """Formats as ``name value``; just ``name`` for true, ``no name`` for false and None."""
    return lambda value: plainly(name, value)


def counting(noun: str, after: str = "") -> Word:
    """Formats a number of things: ``5 adaptation steps in training``."""
    return lambda value: f"{value} {noun}{'' if value == 1 else 's'}{after}"


def plainly(name: str, value: object) -> str:
    """Format any value with the name of its setting: ``lr 0.001``, ``no clip norm``, ``retrain``, ``no retrain``."""
    if value is None or value is False:
        return f"no {name}"
    return name if value is True else f"{name} {number(value)}"


def number(value: object) -> str:
    """The shortest exact form of a number; other values as sweep files write them."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
