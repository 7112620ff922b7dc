"""Presets: the settings of a paper, of its authors' code or of another reproduction, as data.

A preset is a list of rules; a rule gives settings to every cell that matches it, and a later rule overrides an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.place import Place


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Settings for the cells whose own settings match ``when``, a value or a list of values for each key.

    ``places``: where in its file each setting that it gives stands, by key.
    """

    when: Mapping[str, Any]
    give: Mapping[str, Any]
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)


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

        A rule looks at the cell's own settings and at those that the rules before it gave.
        """
        given: dict[str, Any] = {}
        about = []
        for rule in self.rules:
            if matches({**given, **settings}, rule.when):
                about.append(rule)
                given |= rule.give
        return tuple(about)


def find_preset(presets: Sequence[Preset], name: str | None) -> Preset | None:
    """The preset of that name, if it is there."""
    return next((preset for preset in presets if preset.id == name), None)


def matches(draft: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    """Whether a cell's settings have each of the values that a pattern asks for, or one of them where it gives a list."""
    return all(
        name in draft and (draft[name] in wanted if isinstance(wanted, list) else draft[name] == wanted)
        for name, wanted in pattern.items()
    )
