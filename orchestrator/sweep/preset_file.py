"""Reads presets from their YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.sweep.document import Document, explain, read_document
from orchestrator.sweep.presets import Preset, Rule
from orchestrator.sweep.setting_types import check_settings
from orchestrator.sweep.shipped import PRESETS


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Rule(_Strict):
    when: dict[str, Any]
    give: Annotated[dict[str, Any], Field(min_length=1)]
    ours: dict[str, Annotated[str, Field(min_length=1)]] = {}


class _Preset(_Strict):
    id: str
    title: str
    description: str
    published: Annotated[list[str], Field(min_length=1)]
    rules: Annotated[list[_Rule], Field(min_length=1)]


def load_presets(beside: Path) -> tuple[Preset, ...]:
    """The presets in the folder ``presets`` beside a sweep file where there is one, else this project's own.

    Raises:
        SweepFileError: with the file, the line and the key of what is wrong.
    """
    folder = beside / "presets"
    return tuple(_load(path) for path in sorted((folder if folder.is_dir() else PRESETS).glob("*.yaml")))


def _load(path: Path) -> Preset:
    document = read_document(path)
    try:
        file = _Preset.model_validate(document.values)
    except ValidationError as error:
        raise document.fault(*explain(error)) from error
    if file.id != path.stem:
        raise document.fault(("id",), f"{file.id!r} must be the file's name, {path.stem!r}")
    for index, rule in enumerate(file.rules):
        check_settings(document, ("rules", index, "when"), rule.when, lists=True)
        check_settings(document, ("rules", index, "give"), rule.give)
        if "preset" in rule.give:
            raise document.fault(("rules", index, "give", "preset"), "a preset gives settings, not another preset")
        for key in rule.ours:
            if key not in rule.give:
                raise document.fault(
                    ("rules", index, "ours", key), f"the rule does not give {key!r}, so it has no choice to explain"
                )
    rules = tuple(_rule(document, index, rule) for index, rule in enumerate(file.rules))
    places = tuple(document.place(("published", index)) for index in range(len(file.published)))
    return Preset(
        id=file.id,
        title=file.title,
        description=file.description,
        published=tuple(file.published),
        rules=rules,
        published_places=places,
    )


def _rule(document: Document, index: int, rule: _Rule) -> Rule:
    places = {key: document.place(("rules", index, "give", key)) for key in rule.give}
    return Rule(when=rule.when, give=rule.give, ours=rule.ours, places=places)
