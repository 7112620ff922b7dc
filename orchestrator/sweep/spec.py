"""A sweep with all defaults filled in: its cells, its seeds, and the registries to compare with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsl_core.recipe.data_settings import data_sets, owners_of_choices, usual_data
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.place import Place
from orchestrator.sweep.presets import Preset, find_preset


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """A parsed and checked sweep file.

    ``published`` names the registries to compare with, in order; the verdict on a cell is against the first that has a number for it.
    Where the sweep names none, a cell's preset does.
    ``short`` marks a run that is intentionally shorter than the published one. ``fallback_dataset`` replaces a data set that is not
    available. ``set_texts``, ``only_texts`` and ``seeds_text`` are the ``--set``, ``--only`` and ``--seeds`` of the command line, as
    typed. ``published_places``: the place in the file of each registry. ``notices``: what a user should know of the overrides.
    ``given``: the keys that the file or the command line gives to each cell. ``fallback_of``: the name in the file, where this is the
    sweep on its fallback data set.
    """

    name: str
    title: str
    description: str
    published: tuple[str, ...]
    short: bool
    seeds: tuple[int, ...]
    cells: tuple[CellSettings, ...]
    fallback_dataset: str | None
    file: Path
    set_texts: tuple[str, ...] = ()
    only_texts: tuple[str, ...] = ()
    seeds_text: str | None = None
    data_root: str | None = None
    runs_root: str | None = None
    results_root: str | None = None
    tracking_uri: str | None = field(default=None, repr=False)
    max_concurrent: int | None = None
    presets: tuple[Preset, ...] = ()
    published_places: tuple[Place, ...] = field(default=(), compare=False)
    notices: tuple[str, ...] = field(default=(), compare=False)
    given: Mapping[CellSettings, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)
    fallback_of: str | None = None

    @property
    def overrides(self) -> tuple[str, ...]:
        """The overrides of the command line, option by option; empty for the unchanged sweep file."""
        seeds = () if self.seeds_text is None else (f"--seeds {self.seeds_text}",)
        return (*(f"--set {text}" for text in self.set_texts), *(f"--only {text}" for text in self.only_texts), *seeds)

    def compared_with(self, cell: CellSettings) -> tuple[str, ...]:
        """The registries with the published numbers of a cell."""
        own = find_preset(self.presets, cell.preset)
        return self.published or (own.published if own else ())

    def choices_of(self, cell: CellSettings) -> tuple[str, ...]:
        """The choices of the cell's preset where its source is silent, as texts."""
        own = find_preset(self.presets, cell.preset)
        return own.choices(cell) if own else ()

    @property
    def named_registries(self) -> tuple[tuple[str, Place], ...]:
        """Every registry, or table of one, named by the file, else by the presets in use, with its place."""
        if self.published:
            return tuple(zip(self.published, self.published_places, strict=True))
        used = {cell.preset for cell in self.cells}
        presets = (preset for preset in self.presets if preset.id in used)
        return tuple(pair for preset in presets for pair in zip(preset.published, preset.published_places, strict=True))

    @property
    def registries(self) -> tuple[str, ...]:
        """The registries of all its cells, each once, in order."""
        return tuple(dict.fromkeys(registry for cell in self.cells for registry in self.compared_with(cell)))


def with_dataset(spec: SweepSpec, dataset: str) -> SweepSpec:
    """The same sweep on another data set, with that one's first split and default choices, under a distinct name."""
    data = usual_data(dataset)
    change: dict[str, Any] = {
        "dataset": dataset,
        "split": data.split,
        "rotations": data.rotations,
        **dict.fromkeys(owners_of_choices()),
    }
    given = {dataclasses.replace(cell, **change): spec.given.get(cell, frozenset()) for cell in spec.cells}
    absent = " and ".join(data_sets()[name].title for name in dict.fromkeys(cell.dataset for cell in spec.cells))
    return dataclasses.replace(
        spec,
        cells=tuple(given),
        given=given,
        name=f"{spec.name}_{dataset}",
        title=f"{spec.title.partition(':')[0]} on {data_sets()[dataset].title}: {absent} was not found",
        fallback_of=spec.name,
    )
