"""A setting is described once, at its field; sweep keys, weights of differences, names, columns and documents are derived from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Word = Callable[[Any], str]
"""Spells a value of a setting in a few words, for the names of trials and cells."""
Form = Literal["always", "unless_usual"]
Weight = Literal["material", "budget", "noted"]
"""What a difference in a setting does to a comparison of two numbers.

``material``: the two numbers answer different questions, so that nothing is compared. ``budget``: the training was shorter. ``noted``:
the same question, asked or answered a little differently; the reader should know.
"""
_KEY = "setting"


@dataclass(frozen=True, kw_only=True)
class Lighter:
    """Why two numbers may differ in a setting without being incomparable.

    ``where``: the values of other settings, by their sweep keys, under which that holds.
    """

    reason: str
    weight: Literal["budget", "noted"] = "noted"
    where: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said of a setting at its field.

    ``meaning``: what it is, with its unit. ``lighter``: when a difference in it is not material. ``word``: how names spell a value; None
    spells the key and the value. ``form``: whether it is part of what an algorithm is called, ``always`` or ``unless_usual``, which
    leaves the default unsaid. ``alike``: the value that stands for all of its values in costs, of a setting that changes none.
    ``none_is_off``: None is a value, which switches something off.
    """

    meaning: str
    lighter: tuple[Lighter, ...] = ()
    word: Word | None = None
    form: Form | None = None
    alike: object = None
    none_is_off: bool = False


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
) -> Mapping[str, Any]:
    """The metadata of a dataclass's field that is a setting.

    Args:
        meaning: what it is, with its unit; the documents, ``fsl plan --settings`` and the exports say it.
        weight: what a difference in it does to a comparison with a published number, whatever the other settings are.
        reason: why, where that is not ``material``.
        lighter: the same where it depends on other settings.
        word: how the names of trials and cells spell a value.
        form: whether it is part of what its algorithm is called.
        alike: for a setting of an algorithm that changes what is computed and not how long it takes, a value that stands for all.
        none_is_off: None switches something off, rather than saying that there is no such setting.
        added_later: the field came when fingerprints were out already: at its default it is left out of them.
    """
    always = () if weight == "material" else (Lighter(reason=reason, weight=weight),)
    description = Description(
        meaning=meaning, lighter=(*always, *lighter), word=word, form=form, alike=alike, none_is_off=none_is_off
    )
    return MappingProxyType({_KEY: description, "none_is_off": none_is_off, "added_later": added_later})


def description_of(item: dataclasses.Field[Any]) -> Description:
    """What is said of a setting at its field; a field that says nothing is described by its name."""
    found = item.metadata.get(_KEY)
    return found if isinstance(found, Description) else Description(meaning=item.name.replace("_", " "))


def either(true: str, false: str) -> Word:
    """Spells a truth value."""
    return lambda value: true if value else false


def named(names: Mapping[Any, str]) -> Word:
    """Spells each value by a name; one without a name as it is."""
    return lambda value: names.get(value, str(value))


def called(name: str) -> Word:
    """Spells ``name value``; ``name`` alone for true, ``no name`` for false and None."""
    return lambda value: plainly(name, value)


def counting(noun: str, after: str = "") -> Word:
    """Spells a number of things: ``5 adaptation steps in training``."""
    return lambda value: f"{value} {noun}{'' if value == 1 else 's'}{after}"


def plainly(name: str, value: object) -> str:
    """Any value by the name of its setting: ``lr 0.001``, ``no clip norm``, ``retrain``, ``no retrain``."""
    if value is None or value is False:
        return f"no {name}"
    return name if value is True else f"{name} {number(value)}"


def number(value: object) -> str:
    """A number as short as it can be written without being another one; other values as sweep files spell them."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
