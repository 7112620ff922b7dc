"""A sweep as it is meant: its cells with every setting filled in, its seeds, what it is compared with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsl_core.recipe.data_settings import owners_of_choices, usual_data
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.place import Place
from orchestrator.sweep.presets import Preset, find_preset


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """A sweep file, read and checked.

    ``published`` names the registries whose numbers stand beside its cells, in order; the verdict on a cell is against the first of them
    that has a number for it. Where the sweep names none, a cell's preset does.
    ``short`` marks a run that is shorter than the published one on purpose. ``fallback_dataset`` replaces a data set that cannot be
    had. ``set_texts``, ``only_texts`` and ``seeds_text`` are the command line's ``--set``, ``--only`` and ``--seeds`` in force, as they
    were typed: none for the sweep as its file has it. ``published_places``: where in the file each registry is named.
    """

    name: str
    title: str
    description: str
    published: tuple[str, ...]
    short: bool
    seeds: tuple[int, ...]
    cells: tuple[CellSettings, ...]
    fallback_dataset: str | None
    source: Path
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

    @property
    def overrides(self) -> tuple[str, ...]:
        """What the command line changes, option by option; empty for the sweep as its file has it."""
        seeds = () if self.seeds_text is None else (f"--seeds {self.seeds_text}",)
        return (*(f"--set {text}" for text in self.set_texts), *(f"--only {text}" for text in self.only_texts), *seeds)

    def compared_with(self, cell: CellSettings) -> tuple[str, ...]:
        """The registries that a cell's published numbers are looked for in."""
        own = find_preset(self.presets, cell.preset)
        return self.published or (own.published if own else ())

    def choices_of(self, cell: CellSettings) -> tuple[str, ...]:
        """What the cell's preset chooses by itself, because its source is silent: a text for each choice."""
        own = find_preset(self.presets, cell.preset)
        return own.choices(cell) if own else ()

    @property
    def named_sources(self) -> tuple[tuple[str, Place], ...]:
        """Every registry, or table of one, that is named for its cells, and where: by the file, else by the presets in use."""
        if self.published:
            return tuple(zip(self.published, self.published_places, strict=True))
        used = {cell.preset for cell in self.cells}
        presets = (preset for preset in self.presets if preset.id in used)
        return tuple(pair for preset in presets for pair in zip(preset.published, preset.published_places, strict=True))

    @property
    def sources(self) -> tuple[str, ...]:
        """The registries of all its cells, each once, in order."""
        return tuple(dict.fromkeys(source for cell in self.cells for source in self.compared_with(cell)))


def with_dataset(spec: SweepSpec, dataset: str) -> SweepSpec:
    """The same sweep on another data set, with that one's first split and its own choices, under a name that nobody can mistake."""
    data = usual_data(dataset)
    change: dict[str, Any] = {
        "dataset": dataset,
        "split": data.split,
        "rotations": data.rotations,
        **dict.fromkeys(owners_of_choices()),
    }
    cells = tuple(dict.fromkeys(dataclasses.replace(cell, **change) for cell in spec.cells))
    return dataclasses.replace(
        spec, cells=cells, name=f"{spec.name}_{dataset}", title=f"On {dataset}, nothing else (meant for: {spec.title})"
    )
