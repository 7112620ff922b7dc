"""Unfolds a sweep file into cells: its grid, includes, excludes and presets, with the command line's overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fsl_core.errors import SettingError
from fsl_core.recipe.data_settings import data_sets
from fsl_core.written import written
from orchestrator.errors import SweepFileError
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.document import Document, KeyPath, nearest
from orchestrator.sweep.draft import Draft
from orchestrator.sweep.overrides import Overrides
from orchestrator.sweep.place import Place
from orchestrator.sweep.presets import KIN, Preset, find_preset, listed, matches, with_defaults
from orchestrator.sweep.schema import SweepFile, Values, axis_of

MOST_CELLS = 1_000_000
"""Of a grid, before ``exclude``. More are a mistake: unfolding them would take hours and all memory, and nobody will train them."""
_Placed = tuple[Any, Place]


@dataclass(frozen=True)
class _Axis:
    """The values of a setting, each with its place, and the condition under which a cell has this axis."""

    values: Sequence[_Placed]
    condition: Values


_Axes = Mapping[str, _Axis]


@dataclass(frozen=True, kw_only=True)
class CellGrid:
    """A parsed sweep file, with the presets and overrides that make its cells."""

    document: Document
    file: SweepFile
    presets: Sequence[Preset]
    overrides: Overrides

    def cells(self) -> Mapping[CellSettings, frozenset[str]]:
        """All cells in the file's order, with the settings that the sweep gives each: the grid, then ``include``, without ``exclude``.

        ``--set`` replaces the values of an axis, which stays an axis of the same cells. Cells that ``--only`` rules out are not checked,
        so a ``--set`` need only suit the others.

        Raises:
            SweepFileError: a cell makes no recipe, two cells are equal, or none is left.
        """
        cells: dict[CellSettings, frozenset[str]] = {}
        for draft, cell in self._not_excluded():
            self._refuse_silence(draft, cell)
            if cell in cells and not self.overrides.values:
                raise draft.origin.fault(f"two cells are the same: {draft or 'both have the fixed settings alone'}")
            cells[cell] = frozenset(draft.own)
        if not cells and not self.overrides.patterns:
            problem = "the sweep has no cell: give fixed values and a grid, or an include list that exclude leaves alone"
            raise self.document.fault(("exclude",), problem)
        self.overrides.check_matches(cells)
        return {cell: given for cell, given in cells.items() if self.overrides.keep(cell)}

    def _drafts(self) -> list[Draft]:
        every = [*self._grid(), *(draft for index in range(len(self.file.include)) for draft in self._included(index))]
        drafts = [self._with_preset(draft) for draft in every if not self.overrides.rule_out(draft.own)]
        return [draft for draft in drafts if not self.overrides.rule_out(draft.values)]

    def _not_excluded(self) -> Iterator[tuple[Draft, CellSettings]]:
        """The cells that ``exclude`` leaves, matched by their given and default settings. An excluded cell need not make a recipe."""
        idle = set(range(len(self.file.exclude)))
        for draft in self._drafts():
            made = self._attempted(draft)
            known = with_defaults(draft.values) if isinstance(made, SweepFileError) else vars(made)
            excluding = {index for index, pattern in enumerate(self.file.exclude) if matches(known, pattern)}
            idle -= excluding
            if excluding:
                continue
            if isinstance(made, SweepFileError):
                raise made
            yield draft, made
        if idle and not self.overrides.values and not self.overrides.patterns:  # those change the set of cells
            raise self.document.fault(("exclude", min(idle)), "no cell of the sweep matches it")

    def _grid(self) -> list[Draft]:
        if not self.file.grid and self.file.include:
            return []
        axes = {key: self._axis(key) for key in self.file.grid}
        self._check_conditions(axes)
        drafts = [self._fixed(("grid",) if axes else ("fixed",))]
        for key, axis in self._overridden(axes).items():
            if len(drafts) * len(axis.values) > MOST_CELLS:
                self._refuse_size(key, sum(len(axis.values) if matches(draft.own, axis.condition) else 1 for draft in drafts))
            if not self.overrides.values and not any(matches(draft.own, axis.condition) for draft in drafts):
                raise self.document.fault(("grid", key, "when"), "no cell of the sweep matches it")
            drafts = [longer for draft in drafts for longer in _extend(draft, key, axis)]
        return drafts

    def _refuse_size(self, key: str, cells: int) -> None:
        """Refuses an axis that unfolds the grid into too many cells."""
        if cells <= MOST_CELLS:
            return
        problem = f"with this axis the grid has {cells:,} cells; at most {MOST_CELLS:,} are unfolded"
        if key not in self.file.grid:
            raise SweepFileError(f"--set {key}: {problem}")
        raise self.document.fault(("grid", key), problem)

    def _fixed(self, origin: KeyPath) -> Draft:
        """A cell of the fixed settings alone, with its place at ``origin``."""
        places = {key: self.document.place(("fixed", key)) for key in self.file.fixed}
        single = {key: values[0] for key, values in self.overrides.values.items() if len(values) == 1}
        return Draft(
            origin=self.document.place(origin), own=self.file.fixed, own_places=places, common={**self.file.fixed, **single}
        )

    def _axis(self, key: str) -> _Axis:
        values, condition = axis_of(self.document, self.file, key)
        base: KeyPath = ("grid", key) if isinstance(self.file.grid[key], list) else ("grid", key, "values")
        return _Axis([(value, self.document.place((*base, index))) for index, value in enumerate(values)], condition)

    def _overridden(self, axes: _Axes) -> _Axes:
        """The axes with the command line's values. Its further settings come first if they have one value, else last."""
        asked = {key: self.overrides.placed(key) for key in self.overrides.values}
        given = {key: _Axis(values, {}) for key, values in asked.items() if key not in axes}
        single = {key: axis for key, axis in given.items() if len(axis.values) == 1}
        replaced = {key: _Axis(asked.get(key, axis.values), axis.condition) for key, axis in axes.items()}  # in the file's order
        return {**single, **replaced, **{key: axis for key, axis in given.items() if key not in single}}

    def _included(self, index: int) -> list[Draft]:
        """A cell of the ``include`` list, once for each combination of the command line's values that apply to it."""
        draft = self._fixed(("include", index))
        for key, value in self.file.include[index].items():
            draft = draft.having(key, value, self.document.place(("include", index, key)))
        conditions = {key: axis_of(self.document, self.file, key)[1] for key in self.file.grid}
        asked = [key for key in self.overrides.values if key in draft.own or matches(draft.own, conditions.get(key, {}))]
        combined = [draft]
        for key in asked:
            combined = [longer for each in combined for longer in _extend(each, key, _Axis(self.overrides.placed(key), {}))]
        return combined

    def _check_conditions(self, axes: _Axes) -> None:
        """Checks that conditions name fixed settings or axes above, which some cells may lack, and values that these have."""
        known = {key: [value] for key, value in self.file.fixed.items()}
        for key, axis in axes.items():
            for name, wanted in axis.condition.items():
                if name not in known:
                    raise self.document.fault(("grid", key, "when"), f"{name!r} is neither fixed nor an axis above this one")
                for value in listed(wanted):
                    if value not in known[name]:
                        problem = f"no cell of the sweep has {name} {written(value)}; its values: {written(known[name])[1:-1]}"
                        raise self.document.fault(("grid", key, "when", name), problem, setting=name, value=value)
            known[key] = [value for value, _ in axis.values]

    def _with_preset(self, draft: Draft) -> Draft:
        """A cell with the settings of its preset, if it has one."""
        name = draft.own.get("preset")
        if name is None:
            return draft
        place = draft.own_places["preset"]
        preset = find_preset(self.presets, name)
        if preset is None:
            raise place.fault(f"unknown preset {name!r}; {nearest(str(name), [known.id for known in self.presets])}")
        rules = preset.rules_about(draft.own)
        if not rules:
            kin = ", ".join(f"{key}={draft.own[key]}" for key in KIN if key in draft.own)
            raise place.fault(f"the preset {name!r} has no rule for such a cell{f': {kin}' if kin else ''}{draft.named}")
        return draft.on_rules(rules)

    def _attempted(self, draft: Draft) -> CellSettings | SweepFileError:
        """The cell of a draft, or the error about it, which does not matter if the cell is excluded."""
        try:
            return self._cell(draft)
        except SweepFileError as error:
            return error

    def _cell(self, draft: Draft) -> CellSettings:
        values = draft.values
        missing = [name for name in ("dataset", "split", "way", "shot") if name not in values]
        if missing:
            raise draft.origin.fault(f"every cell needs {', '.join(missing)}{_splits_text(draft, missing)}{draft.named}")
        try:
            return CellSettings(**values)
        except SettingError as error:
            place = draft.place_of((error.setting, *error.beside))
            raise place.fault(f"{error}{draft.named}", setting=error.setting, value=error.value) from error

    def _refuse_silence(self, draft: Draft, cell: CellSettings) -> None:
        """Requires that a cell gives the settings on which its preset is silent: defaults under a preset's name would mislead."""
        preset = find_preset(self.presets, cell.preset)
        silence = preset.silence(draft.values, cell) if preset else None
        if silence is None:
            return
        raise draft.place_of((*silence.known, "preset")).fault(
            f"the preset {cell.preset!r} {silence}; give them in fixed, grid, include or by --set{draft.named}"
        )


def _splits_text(draft: Draft, missing: Sequence[str]) -> str:
    """The splits of a data set that has none in its cell, and the preset that gives it none."""
    dataset, preset = draft.values.get("dataset"), draft.own.get("preset")
    if "split" not in missing or dataset is None:
        return ""
    silent = f"; the preset {preset!r} has no rule that gives a split of {dataset}" if preset else ""
    splits = data_sets()[dataset].splits
    return f"{silent}; splits of {dataset}: {', '.join(splits) if splits else 'the names of your folders of images'}"


def _extend(draft: Draft, key: str, axis: _Axis) -> list[Draft]:
    if not matches(draft.own, axis.condition):
        return [draft]
    return [draft.having(key, value, place) for value, place in axis.values]
