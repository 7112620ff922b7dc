"""The numbers that papers printed, as data with their protocols and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fsl_core.checks import MOST_WHOLE
from orchestrator.cell_settings import OF_SOME_ONLY, CellSettings
from orchestrator.errors import RegistryError, SweepFileError
from orchestrator.sweep_file import Document, explain, read_document

ARTICLE_2018 = "knagg_2018"
"""The registry of the reproduction that has a column of its own in every table."""
FULL_STEPS = "full_steps"
"""The key of what counts as a full training where the source does not say how long its own was."""
_MARGINS = "margins"

Setting = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class PublishedCell:
    """One printed accuracy, in percent.

    ``ci95`` is half the printed 95% interval, None where none is printed; ``decimals`` the digits printed after the point;
    ``settings`` what the source says of how it was made, by the keys of sweep files, and ``full_steps``: a training that is allowed
    fewer steps is short, whatever the source leaves unsaid of its own. ``unrepeatable``: what was done that no setting here can do.
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
    unrepeatable: tuple[str, ...]
    doubt: str | None

    def mismatches(self, settings: CellSettings) -> int:
        """How many settings the source states otherwise."""
        stated = ((key, value) for key, value in self.settings.items() if key != FULL_STEPS)
        return sum(has_setting(settings, key) and getattr(settings, key) != value for key, value in stated)


@dataclass(frozen=True)
class Registries:
    """All published numbers, by the id of their source, and the equivalence margins in points, by data set and way."""

    cells: Mapping[str, tuple[PublishedCell, ...]]
    margins: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def find(self, sources: Sequence[str], settings: CellSettings) -> PublishedCell | None:
        """The number to compare a cell with: of the first source that has one, the one whose protocol is nearest, headline first.

        A source is a registry, ``snell_2017``, or one of its tables, ``snell_2017/Table 4``.

        Raises:
            RegistryError: if a source is not there.
        """
        for source in sources:
            registry, _, table = source.partition("/")
            if registry not in self.cells:
                raise RegistryError(f"published: {source!r} is not a registry; accepted: {', '.join(sorted(self.cells))}")
            here = [cell for cell in self.cells[registry] if not table or cell.table == table]
            if not here:
                raise RegistryError(f"published: {registry!r} has no {table!r}")
            matching = [cell for cell in here if _is_of(cell, settings)]
            if matching:
                return min(matching, key=lambda cell: cell.mismatches(settings))
        return None

    def margin(self, settings: CellSettings) -> float | None:
        """How far apart two accuracies of a cell may lie and still count as the same, in points."""
        return self.margins.get((settings.dataset, settings.way))


def has_setting(settings: CellSettings, key: str) -> bool:
    """Whether a cell's algorithm and backbone have a setting at all, and can thus differ in it."""
    return getattr(settings, key) is not None or key not in OF_SOME_ONLY


def _is_of(cell: PublishedCell, settings: CellSettings) -> bool:
    same = (cell.algorithm, cell.dataset, cell.way, cell.shot) == (
        settings.algorithm,
        settings.dataset,
        settings.way,
        settings.shot,
    )
    return same and all(getattr(settings, key, value) == value for key, value in cell.variant.items())


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Variant(_Strict):
    """What sets two forms of one algorithm apart. A cell without such a setting is of any form."""

    distance: Literal["squared_euclidean", "cosine"] = "squared_euclidean"
    similarity: Literal["softmax"] = "softmax"
    fce: bool = False
    fine_tuned: bool = False
    order: Literal[1, 2] = 1
    backbone: Literal["conv4", "mlp"] = "conv4"


_Count = Annotated[int, Field(ge=1, le=MOST_WHOLE)]
_Rate = Annotated[float, Field(gt=0, le=1e38)]


class _Protocol(_Strict):
    """The settings that a source can state: those that :mod:`orchestrator.report.protocol` compares, and no others."""

    split: str = ""
    rotations: bool = True
    scale: _Rate = 1.0
    query: _Count = 1
    evaluation_episodes: _Count = 1
    train_way: _Count = 1
    train_shot: _Count = 1
    train_query: _Count = 1
    steps: _Count = 1
    full_steps: _Count = 1
    meta_batch_size: _Count = 1
    outer_lr: _Rate = 1.0
    halve_every: _Count | None = None
    filters: _Count = 1
    retrain: bool = False
    learn_scale: bool = False
    reading_steps: _Count = 1
    adaptation_steps: _Count = 1
    evaluation_adaptation_steps: _Count = 1
    inner_lr: _Rate = 1.0
    inner_reduction: Literal["mean", "sum_over_shot"] = "mean"
    outer_reduction: Literal["mean", "sum_over_shot"] = "mean"
    adapt_batch_norm: bool = True
    clip_norm: _Rate | None = None
    clip_value: _Rate | None = None
    downsampling: Literal["max_pool", "stride"] = "max_pool"
    unrepeatable: list[str] = []

    def stated(self) -> dict[str, Setting]:
        """The settings that the file states, never a default."""
        return self.model_dump(exclude_unset=True, exclude={"unrepeatable"})


class _Cell(_Strict):
    table: str
    algorithm: str
    variant: _Variant = _Variant()
    dataset: str
    way: Annotated[int, Field(ge=2, le=MOST_WHOLE)]
    shot: _Count
    accuracy: Annotated[float, Field(gt=0, le=100)]
    ci95: Annotated[float, Field(gt=0, lt=100)] | None = None
    decimals: Annotated[int, Field(ge=0, le=4)] = 1
    episodes: _Count | None = None
    settings: _Protocol = _Protocol()
    doubt: str | None = None


class _Registry(_Strict):
    id: str
    title: str
    source: str
    protocols: dict[str, _Protocol]
    cells: Annotated[list[_Cell], Field(min_length=1)]


class _Margin(_Strict):
    dataset: str
    way: int
    points: Annotated[float, Field(gt=0, lt=100)]


class _Margins(_Strict):
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
            margins = _margins(document)
            continue
        registry = _parse(_Registry, document)
        if registry.id != path.stem:
            raise RegistryError(str(document.fault(("id",), f"{registry.id!r} must be the file's name, {path.stem!r}")))
        cells[registry.id] = tuple(_published(registry, cell) for cell in registry.cells)
    if not cells:
        raise RegistryError(f"{folder}: no published numbers here; a folder of YAML registries is expected")
    return Registries(cells, margins)


def _margins(document: Document) -> dict[tuple[str, int], float]:
    table: _Margins = _parse(_Margins, document)
    margins = {(margin.dataset, margin.way): margin.points for margin in table.margins}
    if len(margins) < len(table.margins):
        raise RegistryError(str(document.fault(("margins",), "a data set and way stands here twice")))
    return margins


def _published(registry: _Registry, cell: _Cell) -> PublishedCell:
    """A cell with its data set's protocol, which its own settings override."""
    general = registry.protocols.get(cell.dataset, _Protocol())
    return PublishedCell(
        registry=registry.id,
        source=f"{registry.source}, {cell.table}",
        variant=cell.variant.model_dump(exclude_unset=True),
        settings={**general.stated(), **cell.settings.stated()},
        unrepeatable=(*general.unrepeatable, *cell.settings.unrepeatable),
        **cell.model_dump(exclude={"variant", "settings"}),
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
