"""Presets: the settings of a paper, of its authors' code or of another reproduction, as data.

A preset is a list of rules; a rule gives settings to every cell that matches it, and a later rule overrides an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fsl_core.written import written
from orchestrator.sweep.cell_settings import CellSettings, defaults_beside
from orchestrator.sweep.place import Place

_KIN = ("algorithm", "dataset")
"""The settings that cells must share for what a preset gives to one to be wanted of it for the other."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Settings for the cells whose own settings match ``when``, a value or a list of values for each key.

    ``ours``: by the keys of some settings that it gives, why the source does not decide them. ``places``: where in its file each
    setting that it gives stands, by key.
    """

    when: Mapping[str, Any]
    give: Mapping[str, Any]
    ours: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """What a preset leaves open of a cell: ``settings`` by key, and by key the values of other settings that it does know."""

    settings: tuple[str, ...]
    known: Mapping[str, tuple[Any, ...]]

    def __str__(self) -> str:
        known = "; ".join(f"{key} {', '.join(map(written, values))}" for key, values in self.known.items())
        return f"is silent on {', '.join(self.settings)}{f' (it has rules for {known})' if known else ''}"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Rules under a name. ``published`` names the registries whose protocol it follows, for tables to compare with.

    ``published_places``: where in its file each of them stands.
    """

    id: str
    title: str
    description: str
    published: tuple[str, ...]
    rules: tuple[Rule, ...]
    published_places: tuple[Place, ...] = field(default=(), compare=False)

    def given_to(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the rules give to a cell with these settings of its own; None where no rule is about such a cell."""
        rules = self.rules_about(settings)
        return {key: value for rule in rules for key, value in rule.give.items()} if rules else None

    def rules_about(self, settings: Mapping[str, Any]) -> tuple[Rule, ...]:
        """The rules for a cell with these settings of its own.

        A rule looks at the cell's own settings, at those that the rules before it gave, and at what is so by default.
        """
        given: dict[str, Any] = {}
        known, about = with_defaults(settings), []
        for rule in self.rules:
            if matches(known, rule.when):
                about.append(rule)
                given |= rule.give
                known = with_defaults({**given, **settings})
        return tuple(about)

    def choices(self, cell: CellSettings) -> tuple[str, ...]:
        """Why the source does not decide some settings of a cell, a text each; none for a setting that the sweep gives otherwise."""
        deciding = {key: rule for rule in self.rules_about(vars(cell)) for key in rule.give}
        kept = (rule.ours[key] for key, rule in deciding.items() if key in rule.ours and rule.give[key] == getattr(cell, key))
        return tuple(dict.fromkeys(kept))

    def silence(self, settings: Mapping[str, Any], cell: CellSettings) -> Silence | None:
        """What the preset leaves open of a cell with these ``settings``, its own and those given to it; None where that is nothing.

        A preset is silent on what it gives to other cells of the same algorithm and data set, or to any others where it has no rule
        about that algorithm or data set, and neither gives to this cell nor finds given: the cell would take a default that the
        preset does not stand for.
        """
        kin = [rule for rule in self.rules if not self._is_of_others(rule, cell)]
        given = dict.fromkeys(key for rule in kin for key in rule.give)
        open_keys = tuple(key for key in given if key not in settings and cell.has(key))
        if not open_keys:
            return None
        known: dict[str, list[Any]] = {}
        for rule in (rule for rule in kin if set(rule.give) & set(open_keys)):
            for key, wanted in rule.when.items():
                if getattr(cell, key) not in _listed(wanted):
                    known.setdefault(key, []).extend(_listed(wanted))
        foremost = [key for key in _KIN if key in known] or list(known)
        return Silence(settings=open_keys, known={key: tuple(dict.fromkeys(known[key])) for key in foremost})

    def _is_of_others(self, rule: Rule, cell: CellSettings) -> bool:
        """Whether a rule is about another algorithm or data set, and the preset has rules about the cell's own."""
        return any(
            key in rule.when and getattr(cell, key) not in _listed(rule.when[key]) and getattr(cell, key) in self._named[key]
            for key in _KIN
        )

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        """The algorithms and the data sets that rules are about by name."""
        return {key: frozenset(value for rule in self.rules for value in _listed(rule.when.get(key, []))) for key in _KIN}


def find_preset(presets: Sequence[Preset], name: str | None) -> Preset | None:
    """The preset of that name, if it is there."""
    return next((preset for preset in presets if preset.id == name), None)


def matches(draft: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    """Whether a cell's settings have each of the values that a pattern asks for, or one of them where it gives a list."""
    return all(name in draft and draft[name] in _listed(wanted) for name, wanted in pattern.items())


def with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's settings as far as they are known, and what is so by default beside them."""
    return {**defaults_beside(settings), **settings}


def _listed(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]
