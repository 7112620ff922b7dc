"""Finds the published numbers for a cell: one of each registry of the sweep that has any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fsl_core.written import written
from orchestrator.report.protocol import differences
from orchestrator.report.published import FULL_STEPS, PublishedCell, Registries, registry_of
from orchestrator.report.registry_schema import RegistryKind
from orchestrator.sweep.cell_settings import CellSettings


@dataclass(frozen=True, kw_only=True)
class PublishedNumber:
    """A published number for a cell, in percent and percentage points; :class:`PublishedCell` describes the common fields.

    ``choice`` identifies it among the registry's numbers for such a cell; None for the first of them. ``differs`` lists the settings in
    which the cell differs from the published run.
    """

    registry: str
    label: str
    kind: RegistryKind
    source: str
    table: str
    accuracy: float
    ci95: float | None
    std_seeds: float | None
    seeds: int | None
    episodes: int | None
    decimals: int
    choice: str | None
    differs: tuple[str, ...]
    doubt: str | None

    @property
    def printed(self) -> str:
        """The number as its source prints it: ``48.70 ± 1.84``, with a deviation over trainings as ``(sd 0.4)``."""
        interval = "" if self.ci95 is None else f" ± {self.ci95:.{self.decimals}f}"
        spread = "" if self.std_seeds is None else f" (sd {self.std_seeds:g})"
        return f"{self.accuracy:.{self.decimals}f}{interval}{spread}"


def numbers_beside(settings: CellSettings, registries: Registries, sources: Sequence[str]) -> tuple[PublishedNumber, ...]:
    """The numbers of the sources for a cell, in the order of the sources; the verdict is against the first."""
    return tuple(
        _number(cell, settings, _chosen_from(cell, settings, registries, sources))
        for cell in registries.find_all(sources, settings)
    )


def _chosen_from(
    cell: PublishedCell, settings: CellSettings, registries: Registries, sources: Sequence[str]
) -> tuple[PublishedCell, ...]:
    """The numbers from which the nearest was chosen: those of its registry, or of the named table."""
    own = (registries.candidates(source, settings) for source in sources if registry_of(source) == cell.registry)
    return next(candidates for candidates in own if candidates)


def _number(cell: PublishedCell, settings: CellSettings, candidates: Sequence[PublishedCell]) -> PublishedNumber:
    return PublishedNumber(
        registry=cell.registry,
        label=cell.label,
        kind=cell.kind,
        source=cell.source,
        table=cell.table,
        accuracy=cell.accuracy,
        ci95=cell.ci95,
        std_seeds=cell.std_seeds,
        seeds=cell.seeds,
        episodes=cell.episodes,
        decimals=cell.decimals,
        choice=_choice(cell, candidates),
        differs=tuple(difference.text for difference in differences(settings, cell)),
        doubt=cell.doubt,
    )


def _choice(cell: PublishedCell, candidates: Sequence[PublishedCell]) -> str | None:
    """The description of a number among several, by the settings in which the source distinguishes them."""
    if cell is candidates[0]:
        return None
    stated = [{**each.variant, **each.settings} for each in candidates]
    own = {**cell.variant, **cell.settings}
    apart = [key for key in own if key != FULL_STEPS and len({each[key] for each in stated if key in each}) > 1]
    parts = ", ".join(f"{key} {written(own[key])}" for key in apart)
    return f"{cell.table}{' with ' if parts else ''}{parts}, the nearest of its {len(candidates)} numbers for such a cell"
