"""How a sweep file unfolds into cells: its grid, what it includes and excludes, its presets, and what the command line changes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fsl_core.errors import RecipeError
from orchestrator.cell_settings import CellSettings
from orchestrator.errors import SweepFileError
from orchestrator.overrides import Overrides
from orchestrator.presets import Preset, find_preset, matches
from orchestrator.sweep_file import Document, KeyPath, nearest
from orchestrator.sweep_schema import SweepFile, Values, axis_of

_Axes = Mapping[str, tuple[Sequence[Any], Values]]


@dataclass(frozen=True, kw_only=True)
class CellGrid:
    """A sweep file, read, and what is needed to make cells of it."""

    document: Document
    file: SweepFile
    presets: Sequence[Preset]
    overrides: Overrides

    def cells(self) -> tuple[CellSettings, ...]:
        """All cells in the file's order: the grid, its last axis fastest, then ``include``, less ``exclude``.

        An axis that ``--set`` gives other values stays an axis of the same cells. What ``--only`` rules out is not looked at, so that
        a ``--set`` may be about the cells that are left alone.

        Raises:
            SweepFileError: if a cell makes no recipe, two cells are the same, or none is left.
        """
        drafts = [*self._grid(), *(more for settings in self.file.include for more in self._included(settings))]
        drafts = [self._with_preset(draft) for draft in drafts if not self.overrides.rule_out(draft)]
        drafts = [draft for draft in drafts if not any(matches(draft, pattern) for pattern in self.file.exclude)]
        drafts = [draft for draft in drafts if not self.overrides.rule_out(draft)]
        if not drafts and not self.overrides.patterns:
            raise self.document.fault(
                (), "the sweep has no cell: give fixed values and a grid, or an include list that exclude leaves alone"
            )
        cells: dict[CellSettings, None] = {}
        for draft in drafts:
            cell = self._cell(draft)
            if cell in cells and not self.overrides.values:
                raise self.document.fault((), f"two cells are the same: {_describe(draft)}")
            cells[cell] = None
        kept = tuple(cell for cell in cells if self.overrides.keep(cell))
        if not kept:
            asked = "; ".join(text for text in self.overrides.texts if text.startswith("--only"))
            raise SweepFileError(f"{asked}: no cell of the sweep matches; fsl plan lists them")
        return kept

    def _grid(self) -> list[Values]:
        if not self.file.grid and self.file.include:
            return []
        axes = {key: axis_of(self.document, self.file, key) for key in self.file.grid}
        self._check_conditions(axes)
        drafts = [self.file.fixed]
        for key, (values, condition) in self._overridden(axes).items():
            drafts = [longer for draft in drafts for longer in _extend(draft, key, values, condition)]
        return drafts

    def _overridden(self, axes: _Axes) -> _Axes:
        """The axes with the command line's values; what it sets beside them comes first where it is one value, else last."""
        given = {key: (values, _NO_CONDITION) for key, values in self.overrides.values.items() if key not in axes}
        single = {key: axis for key, axis in given.items() if len(axis[0]) == 1}
        replaced = {
            key: (self.overrides.values.get(key, values), condition) for key, (values, condition) in axes.items()
        }  # each in its place
        return {**single, **replaced, **{key: axis for key, axis in given.items() if key not in single}}

    def _included(self, settings: Values) -> list[Values]:
        """A cell of the ``include`` list, once for each combination of the command line's values that it can have."""
        draft = {**self.file.fixed, **settings}
        axes = {key: axis_of(self.document, self.file, key) for key in self.file.grid}
        asked = {
            key: values
            for key, values in self.overrides.values.items()
            if key in draft or matches(draft, axes[key][1] if key in axes else _NO_CONDITION)
        }
        return [{**draft, **dict(zip(asked, chosen, strict=True))} for chosen in itertools.product(*asked.values())]

    def _check_conditions(self, axes: _Axes) -> None:
        """A condition is about what is known by then: fixed settings and the axes above, which some cells may lack."""
        known = set(self.file.fixed)
        for key, (_, condition) in axes.items():
            for name in condition:
                if name not in known:
                    raise self.document.fault(("grid", key, "when"), f"{name!r} is neither fixed nor an axis above this one")
            known.add(key)

    def _with_preset(self, draft: Values) -> Values:
        """A cell's settings on those of its preset, if it has one."""
        name = draft.get("preset")
        if name is None:
            return draft
        preset = find_preset(self.presets, name)
        if preset is None:
            raise self._fault("preset", f"unknown preset {name!r}; {nearest(str(name), [known.id for known in self.presets])}")
        given = preset.given_to(draft)
        if given is None:
            raise self._fault("preset", f"the preset {name!r} has no rule for such a cell: {_describe(draft)}")
        return {**given, **draft}

    def _cell(self, draft: Values) -> CellSettings:
        missing = [name for name in ("dataset", "split", "way", "shot") if name not in draft]
        if missing:
            raise self.document.fault(
                ("fixed",), f"every cell needs {', '.join(missing)}; this one has {_describe(draft) or 'nothing'}"
            )
        try:
            return CellSettings(**draft)
        except RecipeError as error:
            raise self._fault(_setting_of(draft, str(error)), f"{error} (in the cell {_describe(draft)})") from error

    def _fault(self, setting: str | None, problem: str) -> SweepFileError:
        """The error of a setting's value, at the place that the value comes from."""
        source = self.overrides.source_of(setting or "")
        if source is not None:
            return SweepFileError(f"{source}: {problem}")
        places: list[KeyPath] = [("fixed", setting), ("grid", setting)] if setting else []
        return self.document.fault(next((path for path in places if path in self.document.lines), ()), problem)


_NO_CONDITION: Values = {}


def _extend(draft: Values, key: str, values: Sequence[Any], condition: Values) -> list[Values]:
    return [{**draft, key: value} for value in values] if matches(draft, condition) else [draft]


def _setting_of(draft: Values, problem: str) -> str | None:
    """The setting that an error's text begins with, by the name that it has in a sweep file."""
    words = problem.split(" is ")[0].replace(" ", "_")
    return next((name for name in (words, f"validation_{words}", f"train_{words}") if name in draft), None)


def _describe(draft: Values) -> str:
    return ", ".join(f"{key}={value}" for key, value in draft.items())
