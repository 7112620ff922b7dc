"""Presets: the settings of a paper, of its authors' code or of another reproduction, as data.

A preset is a list of rules. A rule gives settings to every cell that matches it; later rules override earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fsl_core.written import written
from orchestrator.sweep.cell_settings import CellSettings, defaults_beside
from orchestrator.sweep.place import Place

KIN = ("algorithm", "dataset")
"""The settings that two cells must share for a preset's rule about one to be expected for the other."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Settings for the cells whose own settings match ``when``, a value or a list of values for each key.

    ``ours``: by key, the reasons for settings that the source does not decide. ``places``: the place in the file of each given setting,
    by key.
    """

    when: Mapping[str, Any]
    give: Mapping[str, Any]
    ours: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """The settings of a cell on which a preset is silent, and, by key, the values of other settings for which it has rules."""

    settings: tuple[str, ...]
    known: Mapping[str, tuple[Any, ...]]

    def __str__(self) -> str:
        known = "; ".join(f"{key} {', '.join(map(written, values))}" for key, values in self.known.items())
        return f"is silent on {', '.join(self.settings)}{f' (it has rules for {known})' if known else ''}"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Named rules. ``published`` names the registries whose protocol they follow, for tables to compare with.

    ``published_places``: the place of each in the preset's file.
    """

    id: str
    title: str
    description: str
    published: tuple[str, ...]
    rules: tuple[Rule, ...]
    published_places: tuple[Place, ...] = field(default=(), compare=False)

    def given_to(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """The settings that the rules give to a cell with these own settings; None where no rule matches."""
        rules = self.rules_about(settings)
        return {key: value for rule in rules for key, value in rule.give.items()} if rules else None

    def rules_about(self, settings: Mapping[str, Any]) -> tuple[Rule, ...]:
        """The rules that match a cell with these own settings.

        A rule is matched against the cell's own settings, those from earlier rules, and the defaults.
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
        """The reasons for settings of a cell that the source does not decide, except for those that the sweep changes."""
        deciding = {key: rule for rule in self.rules_about(vars(cell)) for key in rule.give}
        kept = (rule.ours[key] for key, rule in deciding.items() if key in rule.ours and rule.give[key] == getattr(cell, key))
        return tuple(dict.fromkeys(kept))

    def silence(self, settings: Mapping[str, Any], cell: CellSettings) -> Silence | None:
        """The settings on which the preset is silent for a cell with these given ``settings``; None where there are none.

        A preset is silent on a setting that it gives to other cells of the same algorithm and data set, but not to this cell, which does
        not give it either: the cell would take a default that the preset does not state. Where no rule names the cell's algorithm
        or data set, the rules about others count.
        """
        kin = [rule for rule in self.rules if not self._is_of_others(rule, cell)]
        given = dict.fromkeys(key for rule in kin for key in rule.give)
        open_keys = tuple(key for key in given if key not in settings and cell.has(key))
        if not open_keys:
            return None
        known: dict[str, list[Any]] = {}
        for rule in (rule for rule in kin if set(rule.give) & set(open_keys)):
            for key, wanted in rule.when.items():
                if getattr(cell, key) not in listed(wanted):
                    known.setdefault(key, []).extend(listed(wanted))
        foremost = [key for key in KIN if key in known] or list(known)
        return Silence(settings=open_keys, known={key: tuple(dict.fromkeys(known[key])) for key in foremost})

    def _is_of_others(self, rule: Rule, cell: CellSettings) -> bool:
        """Whether a rule is about another algorithm or data set while the preset has rules about the cell's own."""
        return any(
            key in rule.when and getattr(cell, key) not in listed(rule.when[key]) and getattr(cell, key) in self._named[key]
            for key in KIN
        )

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        """The algorithms and data sets that rules name."""
        return {key: frozenset(value for rule in self.rules for value in listed(rule.when.get(key, []))) for key in KIN}


def find_preset(presets: Sequence[Preset], name: str | None) -> Preset | None:
    """The preset of that name, if it exists."""
    return next((preset for preset in presets if preset.id == name), None)


def matches(draft: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    """Whether a cell's settings have each value of a pattern, or one of its values where it gives a list."""
    return all(name in draft and draft[name] in listed(wanted) for name, wanted in pattern.items())


def with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A cell's known settings, and the defaults of the others."""
    return {**defaults_beside(settings), **settings}


def listed(wanted: Any) -> list[Any]:
    """The values that a pattern accepts for a key."""
    return wanted if isinstance(wanted, list) else [wanted]
