"""The numbers that papers printed, as data with their protocols and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import RegistryError, SweepFileError
from orchestrator.report.margins import Assumptions, MarginsFile
from orchestrator.report.registry_schema import RegistryCell, RegistryFile, RegistryKind
from orchestrator.report.stated_settings import Protocol
from orchestrator.sweep.cell_settings import CellSettings
from orchestrator.sweep.document import Document, explain, nearest, read_document
from orchestrator.sweep.shipped import REGISTRIES

FULL_STEPS = "full_steps"
"""The key of the length of a full training, for sources that do not state their own."""
_MARGINS = "margins"

Setting = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class PublishedCell:
    """One printed accuracy, in percent.

    ``ci95`` is half the printed 95% interval over test episodes, ``std_seeds`` the printed standard deviation over ``seeds`` trainings,
    ``episodes`` the number of test episodes; each is None where it is not printed. ``decimals``: the digits printed after the point;
    ``kind`` and ``label``: its registry's. ``settings``: the protocol that the source states, by the keys of sweep files, and
    ``full_steps``: with fewer steps a training counts as short, even if the source does not state its own. ``unrepeatable``: parts of
    the protocol for which no setting exists; ``train_classes``: the number of training classes without turned copies, if stated.
    """

    registry: str
    label: str
    kind: RegistryKind
    source: str
    table: str
    algorithm: str
    variant: Mapping[str, Setting]
    dataset: str
    way: int
    shot: int
    accuracy: float
    ci95: float | None
    std_seeds: float | None
    seeds: int | None
    decimals: int
    episodes: int | None
    settings: Mapping[str, Setting]
    unrepeatable: tuple[str, ...]
    doubt: str | None
    train_classes: int | None = None

    def mismatches(self, settings: CellSettings) -> int:
        """The number of stated settings that differ from the cell's."""
        stated = ((key, value) for key, value in self.settings.items() if key != FULL_STEPS)
        return sum(settings.has(key) and getattr(settings, key) != value for key, value in stated)


@dataclass(frozen=True)
class Registries:
    """All published numbers by the id of their registry, and the assumptions of verdicts against them."""

    cells: Mapping[str, tuple[PublishedCell, ...]]
    assumptions: Assumptions = field(default_factory=Assumptions)

    def find(self, sources: Sequence[str], settings: CellSettings) -> PublishedCell | None:
        """The number for the verdict on a cell: that of the first registry with one. See :meth:`find_all`."""
        return next(iter(self.find_all(sources, settings)), None)

    def find_all(self, sources: Sequence[str], settings: CellSettings) -> tuple[PublishedCell, ...]:
        """The numbers to compare a cell with: one of each registry that has any, in the order of ``sources``.

        A source is a registry, ``snell_2017``, or one of its tables, ``snell_2017/Table 4``. Of several tables of one registry, the first
        with a number is used; of several numbers there, the one with the nearest protocol, or the first of equally near ones.

        Raises:
            RegistryError: a source does not exist.
        """
        found: dict[str, PublishedCell] = {}
        for source in sources:
            if problem := self.problem_with(source):
                raise RegistryError(f"published: {problem}")
            candidates = self.candidates(source, settings)
            if candidates:
                found.setdefault(registry_of(source), _nearest(candidates, settings))
        return tuple(found.values())

    def candidates(self, source: str, settings: CellSettings) -> tuple[PublishedCell, ...]:
        """The numbers of a source for the cell's form of its algorithm, data set, ways and shots, in the file's order."""
        return tuple(cell for cell in self._of(source) if _is_of(cell, settings))

    def problem_with(self, source: str) -> str | None:
        """The problem with the name of a source; None where it exists."""
        registry, _, table = source.partition("/")
        if registry not in self.cells:
            return f"{source!r} is not a registry; {nearest(registry, self.cells)}"
        tables = {cell.table for cell in self.cells[registry]}
        return f"{registry!r} has no {table!r}; {nearest(table, tables)}" if table and table not in tables else None

    def _of(self, source: str) -> list[PublishedCell]:
        registry, _, table = source.partition("/")
        return [cell for cell in self.cells[registry] if not table or cell.table == table]

    def margin(self, settings: CellSettings) -> float | None:
        """The largest difference, in points, at which two accuracies of a cell count as equivalent."""
        return self.assumptions.points.get((settings.dataset, settings.way))


def registry_of(source: str) -> str:
    """The registry of a source, which may be one of its tables."""
    return source.partition("/")[0]


def _nearest(cells: Sequence[PublishedCell], settings: CellSettings) -> PublishedCell:
    """The number with the fewest differing settings, the first of several.

    A setting that other numbers state counts as differing where a number omits it: an unknown protocol is not near.
    """
    stated = {key for cell in cells for key in cell.settings if key != FULL_STEPS and settings.has(key)}

    def distance(cell: PublishedCell) -> int:
        return cell.mismatches(settings) + len(stated - cell.settings.keys())

    return min(cells, key=distance)


def _is_of(cell: PublishedCell, settings: CellSettings) -> bool:
    same = (cell.algorithm, cell.dataset, cell.way, cell.shot) == (
        settings.algorithm,
        settings.dataset,
        settings.way,
        settings.shot,
    )
    return same and all(getattr(settings, key, value) == value for key, value in cell.variant.items())


def registries_beside(folder: Path) -> Registries:
    """The published numbers in the folder ``published`` beside a sweep file where there is one, else this project's own.

    Raises:
        RegistryError: with the file, the line and the key of what is wrong.
    """
    own = folder / "published"
    chosen = own if own.is_dir() else REGISTRIES
    return _loaded(chosen, tuple((path, path.stat().st_mtime_ns) for path in sorted(chosen.glob("*.yaml"))))


@lru_cache(maxsize=4)
def _loaded(folder: Path, written: tuple[tuple[Path, int], ...]) -> Registries:
    """The registries of a folder, cached by the times at which its files were ``written``."""
    return load_registries(folder)


def load_registries(folder: Path) -> Registries:
    """Read every registry of a folder.

    Raises:
        RegistryError: with the file, the line and the key of what is wrong.
    """
    cells: dict[str, tuple[PublishedCell, ...]] = {}
    assumptions = Assumptions()
    labels: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        document = _document(path)
        if path.stem == _MARGINS:
            assumptions = _assumptions(document)
            continue
        registry = _parse(RegistryFile, document)
        if registry.id != path.stem:
            raise RegistryError(str(document.fault(("id",), f"{registry.id!r} must be the file's name, {path.stem!r}")))
        _check_label(document, registry, labels)
        cells[registry.id] = tuple(_published(registry, cell) for cell in registry.cells)
    if not cells:
        raise RegistryError(f"{folder}: no published numbers here; a folder of YAML registries is expected")
    return Registries(cells, assumptions)


def _check_label(document: Document, registry: RegistryFile, labels: dict[str, str]) -> None:
    """Checks that the label is unique: columns with equal headings could not be distinguished."""
    other = labels.setdefault(registry.label, registry.id)
    if other != registry.id:
        raise RegistryError(str(document.fault(("label",), f"{registry.label!r} is the label of {other} already")))


def _assumptions(document: Document) -> Assumptions:
    table: MarginsFile = _parse(MarginsFile, document)
    if (twice := table.repeated_key()) is not None:
        raise RegistryError(str(document.fault((twice,), "two entries are for the same cells")))
    return table.assumptions()


def _published(registry: RegistryFile, cell: RegistryCell) -> PublishedCell:
    """The cell with the protocol of its data set, which its own settings override."""
    general = registry.protocols.get(cell.dataset, Protocol()) if cell.inherits else Protocol()
    return PublishedCell(
        registry=registry.id,
        label=registry.label,
        kind=registry.kind,
        source=f"{registry.source}, {cell.table}",
        variant=cell.variant.model_dump(exclude_unset=True),
        settings={**general.stated(), **cell.settings.stated()},
        train_classes=cell.settings.train_classes or general.train_classes,
        unrepeatable=(*general.unrepeatable, *cell.settings.unrepeatable),
        **cell.model_dump(exclude={"variant", "settings", "inherits"}),
    )


def _document(path: Path) -> Document:
    try:
        return read_document(path)
    except SweepFileError as error:
        raise RegistryError(str(error)) from error


def _parse(model: type[Any], document: Document) -> Any:
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise RegistryError(str(document.fault(*explain(error)))) from error
