"""The schema of a sweep file: which keys and values it may have, and how its grid unfolds into cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fsl_core.errors import RecipeError
from orchestrator.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.errors import SweepFileError
from orchestrator.preset_file import load_presets
from orchestrator.presets import Preset, matches
from orchestrator.setting_types import check_settings, problem_with
from orchestrator.spec import SweepSpec
from orchestrator.sweep_file import Document, KeyPath, explain, nearest, parse_scalar, read_document, spell

Values = dict[str, Any]


class _Axis(BaseModel):
    """An axis that only some cells have."""

    model_config = ConfigDict(strict=True, extra="forbid")
    values: list[Any] = Field(min_length=1)
    when: dict[str, Any] = Field(min_length=1)


class _SweepFile(BaseModel):
    """The top level of a sweep file."""

    model_config = ConfigDict(strict=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)]
    title: Annotated[str, Field(min_length=1)]
    description: str = ""
    published: list[str] = []
    short: bool = False
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    fallback_dataset: Literal["glyphs"] | None = None
    data_root: str | None = None
    runs_root: str | None = None
    results_root: str | None = None
    tracking_uri: str | None = None
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    fixed: Values = {}
    grid: Values = {}
    include: list[Values] = []
    exclude: list[Values] = []


def parse_sweep(path: Path, *, set_values: tuple[str, ...], only: tuple[str, ...], seeds: str | None) -> SweepSpec:
    """See :func:`orchestrator.spec.load_sweep`."""
    document = read_document(path)
    for key in document.values:
        if key not in _SweepFile.model_fields:
            raise document.fault((key,), f"unknown key; {nearest(key, _SweepFile.model_fields)}")
    try:
        file = _SweepFile.model_validate(document.values)
    except ValidationError as error:
        raise document.fault(*explain(error)) from error
    if len(set(file.seeds)) != len(file.seeds):
        raise document.fault(("seeds",), f"{file.seeds} repeats a seed")
    _check_settings(document, file)
    presets = load_presets(path.parent)
    cells = _only(_cells(document, file, _set_values(set_values), presets), only)
    chosen = tuple(file.seeds) if seeds is None else _parse_seeds(seeds)
    overrides = [f"--set {text}" for text in set_values] + [f"--only {text}" for text in only]
    overrides += [] if chosen == tuple(file.seeds) else [f"--seeds {seeds}"]
    rest = {"name", "title", "description", "short", "fallback_dataset", "max_concurrent"} | {
        "data_root",
        "runs_root",
        "results_root",
        "tracking_uri",
    }
    return SweepSpec(
        published=tuple(file.published),
        seeds=chosen,
        cells=cells,
        overrides=tuple(overrides),
        source=path,
        presets=presets,
        **file.model_dump(include=rest),
    )


def _check_settings(document: Document, file: _SweepFile) -> None:
    """Every setting that the file names must exist and every value must be of its type; axes must not be empty."""
    check_settings(document, ("fixed",), file.fixed)
    for key in file.grid:
        values, condition = _axis(document, file, key)
        base: KeyPath = ("grid", key) if isinstance(file.grid[key], list) else ("grid", key, "values")
        for index, value in enumerate(values):
            if problem := problem_with(key, value):
                raise document.fault((*base, index) if key in SETTING_NAMES else ("grid", key), problem)
        check_settings(document, ("grid", key, "when"), condition, lists=True)
    for index, settings in enumerate(file.include):
        check_settings(document, ("include", index), settings)
    for index, pattern in enumerate(file.exclude):
        check_settings(document, ("exclude", index), pattern, lists=True)


def _axis(document: Document, file: _SweepFile, key: str) -> tuple[list[Any], Values]:
    """The values of an axis and the condition under which a cell has it."""
    value = file.grid[key]
    if isinstance(value, list):
        if not value:
            raise document.fault(("grid", key), "[] is an empty axis; give at least one value")
        values, condition = value, {}
    else:
        try:
            axis = _Axis.model_validate(value)
        except ValidationError as error:
            path, problem = explain(error)
            raise document.fault(
                ("grid", key, *path), f"{problem} (an axis is a list, or {{values: [...], when: {{...}}}})"
            ) from error
        values, condition = axis.values, axis.when
    if any(value in values[:index] for index, value in enumerate(values)):
        raise document.fault(("grid", key), f"{values} repeats a value: two cells would be the same")
    if key in file.fixed:
        raise document.fault(("grid", key), f"{key!r} is fixed as well; keep one of the two")
    return values, condition


def _cells(document: Document, file: _SweepFile, overridden: Values, presets: Sequence[Preset]) -> tuple[CellSettings, ...]:
    """All cells in the file's order: the grid, its last axis fastest, then ``include``, less ``exclude``."""
    fixed = {**file.fixed, **{key: value for key, value in overridden.items() if not isinstance(value, list)}}
    drafts: list[Values] = [fixed] if file.grid or not file.include else []
    axes = {key: _axis(document, file, key) for key in file.grid}
    _check_conditions(document, file, axes)
    axes |= {key: (value, {}) for key, value in overridden.items() if isinstance(value, list)}
    for key, (values, condition) in axes.items():
        if key not in fixed:
            drafts = [longer for draft in drafts for longer in _extend(draft, key, values, condition)]
    drafts += [{**file.fixed, **more, **overridden} for more in file.include]
    drafts = [_with_preset(document, draft, presets) for draft in drafts]
    drafts = [draft for draft in drafts if not any(matches(draft, pattern) for pattern in file.exclude)]
    cells: dict[CellSettings, int] = {}
    for draft in drafts:
        cell = _cell(document, draft)
        if cell in cells:
            raise document.fault((), f"two cells are the same: {_describe(draft)}")
        cells[cell] = 1
    if not cells:
        raise document.fault(
            (), "the sweep has no cell: give fixed values and a grid, or an include list that exclude leaves alone"
        )
    return tuple(cells)


def _check_conditions(document: Document, file: _SweepFile, axes: dict[str, tuple[list[Any], Values]]) -> None:
    """A condition is about what is known by then: fixed settings and the axes above, which some cells may lack."""
    known = set(file.fixed)
    for key, (_, condition) in axes.items():
        for name in condition:
            if name not in known:
                raise document.fault(("grid", key, "when"), f"{name!r} is neither fixed nor an axis above this one")
        known.add(key)


def _extend(draft: Values, key: str, values: list[Any], condition: Values) -> list[Values]:
    return [{**draft, key: value} for value in values] if matches(draft, condition) else [draft]


def _with_preset(document: Document, draft: Values, presets: Sequence[Preset]) -> Values:
    """A cell's settings on those of its preset, if it has one."""
    name = draft.get("preset")
    if name is None:
        return draft
    preset = next((preset for preset in presets if preset.id == name), None)
    place = next((path for path in (("fixed", "preset"), ("grid", "preset")) if path in document.lines), ())
    if preset is None:
        raise document.fault(place, f"unknown preset {name!r}; {nearest(str(name), [known.id for known in presets])}")
    given = preset.given_to(draft)
    if given is None:
        raise document.fault(place, f"the preset {name!r} has no rule for such a cell: {_describe(draft)}")
    return {**given, **draft}


def _cell(document: Document, draft: Values) -> CellSettings:
    missing = [name for name in ("dataset", "split", "way", "shot") if name not in draft]
    if missing:
        raise document.fault(("fixed",), f"every cell needs {', '.join(missing)}; this one has {_describe(draft) or 'nothing'}")
    try:
        return CellSettings(**draft)
    except RecipeError as error:
        place = next((path for path in _places(draft, str(error)) if path in document.lines), ())
        raise document.fault(place, f"{error} (in the cell {_describe(draft)})") from error


def _places(draft: Values, problem: str) -> list[KeyPath]:
    """Where the setting that an error's text begins with may stand in the file."""
    words = problem.split(" is ")[0].replace(" ", "_")
    names = [name for name in (words, f"validation_{words}", f"train_{words}") if name in draft]
    return [(part, name) for name in names for part in ("fixed", "grid")]


def _describe(draft: Values) -> str:
    return ", ".join(f"{key}={value}" for key, value in draft.items())


def _set_values(texts: Sequence[str]) -> Values:
    overridden: Values = {}
    for text in texts:
        source = f"--set {text}"
        key, value = _assignment(text, source)
        values = value if isinstance(value, list) else [value]
        if not values:
            raise SweepFileError(f"{source}: an empty axis; give at least one value")
        for item in values:
            if problem := problem_with(key, item):
                raise SweepFileError(f"{source}: {problem}")
        overridden[key] = value
    return overridden


def _assignment(text: str, source: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise SweepFileError(f"{source}: write key=value")
    if key not in SETTING_NAMES:
        raise SweepFileError(f"{source}: unknown setting {key!r}; {nearest(key, SETTING_NAMES)}")
    return key, parse_scalar(value, source=source)


def _only(cells: tuple[CellSettings, ...], texts: Sequence[str]) -> tuple[CellSettings, ...]:
    if not texts:
        return cells
    patterns = [dict(_assignment(part, f"--only {text}") for part in text.split(",")) for text in texts]
    kept = tuple(
        cell for cell in cells if any(all(getattr(cell, key) == value for key, value in pattern.items()) for pattern in patterns)
    )
    if not kept:
        raise SweepFileError(f"--only {'; '.join(texts)}: no cell of the sweep matches; fsl plan lists them")
    return kept


def _parse_seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise SweepFileError(f"--seeds {text}: write whole numbers with commas between, such as 0,1,2") from error
    if any(seed < 0 for seed in seeds) or len(set(seeds)) != len(seeds):
        raise SweepFileError(f"--seeds {text}: seeds are different numbers of at least 0")
    return seeds


__all__ = ["parse_sweep", "spell"]
