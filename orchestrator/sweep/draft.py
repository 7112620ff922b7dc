"""A cell as far as it is given: its settings, and where each of them stands."""

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
    """Settings of a cell by key, each with its place.

    ``origin``: where the cell as a whole stands; ``own``: the settings that the sweep file or the command line gives; ``preset``: those
    of its preset, which its own win over.
    """

    origin: Place
    own: Mapping[str, Any] = field(default_factory=dict)
    own_places: Mapping[str, Place] = field(default_factory=dict)
    preset: Mapping[str, Any] = field(default_factory=dict)
    preset_places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """All settings that are known."""
        return {**self.preset, **self.own}

    def having(self, key: str, value: Any, place: Place) -> Draft:
        """The same cell with one more setting of its own, or with another value of it."""
        return dataclasses.replace(self, own={**self.own, key: value}, own_places={**self.own_places, key: place})

    def on_rules(self, rules: Sequence[Rule]) -> Draft:
        """The same cell on what the rules of a preset give, each of them over those before."""
        return dataclasses.replace(
            self,
            preset={key: value for rule in rules for key, value in rule.give.items()},
            preset_places={key: place for rule in rules for key, place in rule.places.items()},
        )

    def place_of(self, keys: Iterable[str]) -> Place:
        """Where the first of some settings stands that the sweep gives; else the first that the preset gives; else the cell's own place.

        A setting that neither gives stands where the one does that decides it.
        """
        sought = [self._decided_by(key) for key in keys]
        return next((here[key] for here in (self.own_places, self.preset_places) for key in sought if key in here), self.origin)

    def _decided_by(self, key: str) -> str:
        while key not in self.own and key not in self.preset and key in FILLED_FROM:
            key = FILLED_FROM[key]
        return key

    def __str__(self) -> str:
        return ", ".join(f"{key}={written(value)}" for key, value in self.own.items())
