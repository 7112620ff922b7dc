"""The schema of a sweep file: its keys and their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fsl_core.checks import MOST_SIZE, MOST_WHOLE
from fsl_core.written import written
from orchestrator.sweep.cell_settings import SETTING_NAMES
from orchestrator.sweep.document import Document, KeyPath, explain, nearest, read_document
from orchestrator.sweep.setting_types import check_settings, problem_with

Values = dict[str, Any]


class Axis(BaseModel):
    """The values of an axis, and the settings that a cell must have for the axis to apply."""

    model_config = ConfigDict(strict=True, extra="forbid")
    values: list[Any] = Field(min_length=1)
    when: dict[str, Any] = Field(min_length=1)


class SweepFile(BaseModel):
    """The top level of a sweep file."""

    model_config = ConfigDict(strict=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
    title: Annotated[str, Field(min_length=1)]
    description: str = ""
    published: list[str] = []
    short: bool = False
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=MOST_WHOLE)]], Field(min_length=1)]
    fallback_dataset: Literal["glyphs"] | None = None
    data_root: str | None = None
    runs_root: str | None = None
    results_root: str | None = None
    tracking_uri: str | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=MOST_SIZE)] | None = None
    fixed: Values = {}
    grid: Values = {}
    include: list[Values] = []
    exclude: list[Values] = []


def read_sweep_file(path: Path) -> tuple[Document, SweepFile]:
    """Read a sweep file, and check each key and value by itself, without their combinations.

    Raises:
        SweepFileError: with the file, the line, the key path, the value and the accepted values.
    """
    document = read_document(path)
    for key in document.values:
        if key not in SweepFile.model_fields:
            where = "a setting: write it under fixed, or its values under grid" if key in SETTING_NAMES else None
            raise document.fault((key,), where or f"unknown key; {nearest(key, SweepFile.model_fields)}")
    try:
        file = SweepFile.model_validate(document.values)
    except ValidationError as error:
        raise document.fault(*explain(error)) from error
    if len(set(file.seeds)) != len(file.seeds):
        raise document.fault(("seeds",), f"{written(file.seeds)} repeats a seed")
    _check_settings(document, file)
    return document, file


def _check_settings(document: Document, file: SweepFile) -> None:
    """Checks that every named setting exists, every value has its setting's type, and no axis is empty."""
    check_settings(document, ("fixed",), file.fixed)
    for key in file.grid:
        values, condition = axis_of(document, file, key)
        base: KeyPath = ("grid", key) if isinstance(file.grid[key], list) else ("grid", key, "values")
        for index, value in enumerate(values):
            if problem := problem_with(key, value):
                place = (*base, index) if key in SETTING_NAMES else ("grid", key)
                raise document.fault(place, problem, setting=key, value=value)
        check_settings(document, ("grid", key, "when"), condition, lists=True)
    for index, settings in enumerate(file.include):
        check_settings(document, ("include", index), settings)
    for index, pattern in enumerate(file.exclude):
        check_settings(document, ("exclude", index), pattern, lists=True)


def axis_of(document: Document, file: SweepFile, key: str) -> tuple[list[Any], Values]:
    """The values of an axis, and its condition, which is empty for an axis of all cells."""
    value = file.grid[key]
    if isinstance(value, list):
        if not value:
            raise document.fault(("grid", key), "[] is an empty axis; give at least one value")
        values, condition = value, {}
    else:
        try:
            axis = Axis.model_validate(value)
        except ValidationError as error:
            path, problem = explain(error)
            raise document.fault(
                ("grid", key, *path), f"{problem} (an axis is a list, or {{values: [...], when: {{...}}}})"
            ) from error
        values, condition = axis.values, axis.when
    if any(value in values[:index] for index, value in enumerate(values)):
        raise document.fault(("grid", key), f"{written(values)} repeats a value: two cells would be equal")
    if key in file.fixed:
        raise document.fault(("grid", key), f"{key!r} is fixed as well; keep one of the two")
    return values, condition
