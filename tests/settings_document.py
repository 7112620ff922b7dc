"""Writes ``docs/settings.md`` from the settings' own fields: ``.venv/bin/python -m tests.settings_document``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

from fsl_core.recipe.algorithm_settings import AlgorithmSettings
from fsl_core.recipe.backbone_settings import BackboneSettings
from fsl_core.recipe.data_settings import data_sets
from fsl_core.recipe.setting import Description
from fsl_core.written import written
from orchestrator.sweep.cell_keys import FILLED_FROM, WHERE_IT_ADAPTS, brought_keys, choices
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings, descriptions, setting_kinds

PATH = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_INTRODUCTION = """\
# Settings

Every key that `fixed`, `grid`, `include` and `exclude` of a sweep file, a preset and `--set` may have. This page is written from the fields
of the settings by `python -m tests.settings_document`; plug-ins add keys of their own.

*Of*: which algorithms, backbones or data sets have the key; giving it to another is an error. *Default*: the value where neither the sweep
nor its preset gives one; the name of another key is where it comes from. *A difference*: what it does to a comparison with a published
number: `material` makes the two incomparable, `budget` is a shorter training, `noted` is said in a footnote
([verdicts.md](verdicts.md) has the reasons).

| key | values | of | default | meaning | a difference |
| --- | --- | --- | --- | --- | --- |
"""


def document() -> str:
    """The page."""
    return _INTRODUCTION + "".join(f"| {' | '.join(_row(key))} |\n" for key in SETTING_NAMES)


def _row(key: str) -> Iterator[str]:
    said = descriptions()[key]
    yield f"`{key}`"
    yield _values(key)
    yield _owners(key)
    yield _default(key, said)
    yield said.meaning
    yield ", ".join(dict.fromkeys([*_lighter(said)])) or "material"


def _lighter(said: Description) -> Iterator[str]:
    for each in said.lighter:
        where = ", ".join(f"{key}: {written(value)}" for key, value in each.where.items())
        yield f"{each.weight} where {where}" if where else each.weight


def _values(key: str) -> str:
    if key == "dataset":
        return ", ".join(f"`{name}`" for name in data_sets())
    if key in ("algorithm", "backbone"):
        kinds = (AlgorithmSettings if key == "algorithm" else BackboneSettings).kinds()
        return ", ".join(f"`{name}`" for name in kinds)
    if key == "split":
        return ", ".join(f"`{name}`" for described in data_sets().values() for name in described.splits or ())
    none = [" or `null`"] if descriptions()[key].none_is_off else []
    return "".join([_kinds(setting_kinds()[key]), *none])


def _kinds(kind: Any) -> str:
    names = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    parts = [part for part in _flat(kind) if part is not type(None)]
    return ", ".join(dict.fromkeys(names[part] if isinstance(part, type) else f"`{written(part)}`" for part in parts))


def _flat(kind: Any) -> Iterator[Any]:
    parts = get_args(kind)
    for part in parts:
        yield from _flat(part)
    if not parts:
        yield kind


def _owners(key: str) -> str:
    if key in WHERE_IT_ADAPTS:
        return ", ".join(f"`{name}`" for name, kind in AlgorithmSettings.kinds().items() if kind.adapts)
    if key not in brought_keys():
        return "all"
    return ", ".join(f"`{name}`" for choice in choices() for name in choice.owners(key))


def _default(key: str, said: Description) -> str:
    if key == "validation_way":  # the ways that the authors' code of Prototypical Networks watches
        return "`5`; what adapts: by `train_way`"
    if key in FILLED_FROM:
        return f"by `{FILLED_FROM[key]}`"
    kinds = (*AlgorithmSettings.kinds().values(), *BackboneSettings.kinds().values(), CellSettings)
    fields = (item for kind in kinds for item in dataclasses.fields(cast(Any, kind)) if item.name == key)
    values = list(dict.fromkeys(item.default for item in fields if item.default is not dataclasses.MISSING))
    given = [value for value in values if value is not None or said.none_is_off]
    known = given[:1] if said.none_is_off else given
    return " or ".join(f"`{written(value)}`" for value in known) or "–"


if __name__ == "__main__":
    PATH.write_text(document(), encoding="utf-8")
