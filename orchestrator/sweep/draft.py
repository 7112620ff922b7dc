"""A cell before its defaults: the settings that are given, and the place of each in its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fsl_core.written import written
from orchestrator.sweep.cell_keys import FILLED_FROM
from orchestrator.sweep.place import Place
from orchestrator.sweep.presets import Rule


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The settings of a cell by key, each with its place.

    ``origin``: the place of the cell as a whole; ``own``: the settings from the sweep file or the command line; ``preset``: those of its
    preset, which its own override. ``common``: the settings of all cells, which its text omits.
    """

    origin: Place
    own: Mapping[str, Any] = field(default_factory=dict)
    own_places: Mapping[str, Place] = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)
    preset_places: Mapping[str, Place] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """All given settings."""
        return {**self.preset, **self.own}

    def having(self, key: str, value: Any, place: Place) -> Draft:
        """A copy with one setting of its own added or changed."""
        return dataclasses.replace(self, own={**self.own, key: value}, own_places={**self.own_places, key: place})

    def on_rules(self, rules: Sequence[Rule]) -> Draft:
        """A copy with the settings that the rules of a preset give; later rules override earlier ones."""
        return dataclasses.replace(
            self,
            preset={key: value for rule in rules for key, value in rule.give.items()},
            preset_places={key: place for rule in rules for key, place in rule.places.items()},
        )

    def place_of(self, keys: Iterable[str]) -> Place:
        """The place of the first of some settings that the sweep gives, else that the preset gives, else of the cell.

        A setting that neither gives has the place of the setting that decides its default.
        """
        sought = [self._decided_by(key) for key in keys]
        return next((here[key] for here in (self.own_places, self.preset_places) for key in sought if key in here), self.origin)

    def _decided_by(self, key: str) -> str:
        while key not in self.own and key not in self.preset and key in FILLED_FROM:
            key = FILLED_FROM[key]
        return key

    @property
    def named(self) -> str:
        """The cell in parentheses, by what distinguishes it from others, for the end of a message; empty where nothing does."""
        return f" (in the cell {self})" if str(self) else ""

    def __str__(self) -> str:
        distinct = {key: value for key, value in self.own.items() if (key, value) not in self.common.items()}
        return ", ".join(f"{key}={written(value)}" for key, value in distinct.items())
