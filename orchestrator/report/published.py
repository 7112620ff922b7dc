"""The numbers that papers printed, as data with their protocols and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import RegistryError, SweepFileError
from orchestrator.spec import SETTING_NAMES, CellSettings
from orchestrator.sweep_file import Document, explain, read_document

ARTICLE_2018 = "knagg_2018"
"""The registry of the reproduction that has a column of its own in every table."""
_VARIANT_SETTINGS = ("distance",)
_MARGINS = "margins"

Setting = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class PublishedCell:
    """One printed accuracy, in percent.

    ``ci95`` is half the printed 95% interval, None where none is printed; ``decimals`` the digits printed after the point;
    ``settings`` what the source says of how it was made, by the keys of sweep files.
    """

    registry: str
    source: str
    table: str
    algorithm: str
    variant: Mapping[str, Setting]
    dataset: str
    way: int
    shot: int
    accuracy: float
    ci95: float | None
    decimals: int
    episodes: int | None
    settings: Mapping[str, Setting]
    doubt: str | None

    def mismatches(self, settings: CellSettings) -> int:
        """How many settings the source states otherwise."""
        return sum(1 for key, value in self.settings.items() if key in SETTING_NAMES and effective(settings, key) != value)


@dataclass(frozen=True)
class Registries:
    """All published numbers, by the id of their source, and the equivalence margins in points, by data set and way."""

    cells: Mapping[str, tuple[PublishedCell, ...]]
    margins: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def find(self, sources: Sequence[str], settings: CellSettings) -> PublishedCell | None:
        """The number to compare a cell with: of the first source that has one, the one whose protocol is nearest, headline first.

        Raises:
            RegistryError: if a source is not there.
        """
        for source in sources:
            if source not in self.cells:
                raise RegistryError(f"published: {source!r} is not a registry; accepted: {', '.join(sorted(self.cells))}")
            matching = [cell for cell in self.cells[source] if _is_of(cell, settings)]
            if matching:
                return min(matching, key=lambda cell: cell.mismatches(settings))
        return None

    def margin(self, settings: CellSettings) -> float | None:
        """How far apart two accuracies of a cell may lie and still count as the same, in points."""
        return self.margins.get((settings.dataset, settings.way))


def effective(settings: CellSettings, key: str) -> Setting:
    """A setting as it acts: a training shot that is not given is the evaluation's."""
    if key == "train_shot" and settings.train_shot is None:
        return settings.shot
    value: Setting = getattr(settings, key)
    return value


def _is_of(cell: PublishedCell, settings: CellSettings) -> bool:
    same = (cell.algorithm, cell.dataset, cell.way, cell.shot) == (
        settings.algorithm,
        settings.dataset,
        settings.way,
        settings.shot,
    )
    return same and all(getattr(settings, key) == cell.variant[key] for key in _VARIANT_SETTINGS if key in cell.variant)


class _Cell(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    table: str
    algorithm: str
    variant: dict[str, bool | int | str] = {}
    dataset: str
    way: Annotated[int, Field(ge=2)]
    shot: Annotated[int, Field(ge=1)]
    accuracy: Annotated[float, Field(gt=0, le=100)]
    ci95: Annotated[float, Field(gt=0)] | None = None
    decimals: Annotated[int, Field(ge=0, le=4)] = 1
    episodes: Annotated[int, Field(ge=1)] | None = None
    settings: dict[str, Any] = {}
    doubt: str | None = None


class _Registry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    id: str
    title: str
    source: str
    protocols: dict[str, dict[str, Any]]
    cells: Annotated[list[_Cell], Field(min_length=1)]


class _Margin(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    dataset: str
    way: int
    points: Annotated[float, Field(gt=0)]


class _Margins(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    margins: list[_Margin]


def load_registries(folder: Path) -> Registries:
    """Read every registry of a folder.

    Raises:
        RegistryError: with the file, the line and the key of what is wrong.
    """
    cells: dict[str, tuple[PublishedCell, ...]] = {}
    margins: dict[tuple[str, int], float] = {}
    for path in sorted(folder.glob("*.yaml")):
        document = _document(path)
        if path.stem == _MARGINS:
            table = _parse(_Margins, document)
            margins = {(margin.dataset, margin.way): margin.points for margin in table.margins}
            continue
        registry = _parse(_Registry, document)
        if registry.id != path.stem:
            raise RegistryError(str(document.fault(("id",), f"{registry.id!r} must be the file's name, {path.stem!r}")))
        cells[registry.id] = tuple(_published(registry, cell) for cell in registry.cells)
    if not cells:
        raise RegistryError(f"{folder}: no published numbers here; a folder of YAML registries is expected")
    return Registries(cells, margins)


def _published(registry: _Registry, cell: _Cell) -> PublishedCell:
    return PublishedCell(
        registry=registry.id,
        source=f"{registry.source}, {cell.table}",
        settings={**registry.protocols.get(cell.dataset, {}), **cell.settings},
        **cell.model_dump(exclude={"settings"}),
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
