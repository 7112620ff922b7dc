"""The command line's overrides of a sweep file: ``--set``, ``--only`` and ``--seeds``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fsl_core.checks import MOST_WHOLE
from fsl_core.written import written
from orchestrator.errors import SweepFileError
from orchestrator.sweep.cell_settings import SETTING_NAMES, CellSettings
from orchestrator.sweep.document import parse_scalar
from orchestrator.sweep.place import Place
from orchestrator.sweep.setting_types import problem_with, type_problem
from orchestrator.sweep.unknown_setting import unknown_setting

_COMMA_OUTSIDE_BRACKETS = re.compile(r",(?![^\[\]]*\])")
_ONE_VALUE = "--only takes one value per key; repeat --only for another"
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*")  # int() takes digits of other scripts too, and refuses more


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """The parsed and checked overrides.

    ``values``: the values of each ``--set``, one or several; ``patterns``: the ``--only`` options, of which a cell must match one if there
    are any; ``seeds``: those that replace the file's; ``only_texts``: the ``--only`` options as typed.
    """

    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    patterns: Sequence[Mapping[str, Any]] = ()
    seeds: tuple[int, ...] | None = None
    only_texts: tuple[str, ...] = ()

    def rule_out(self, draft: Mapping[str, Any]) -> bool:
        """Whether a cell with these settings, of which others are not yet known, can match no ``--only``."""
        return bool(self.patterns) and all(
            any(key in draft and draft[key] != value for key, value in pattern.items()) for pattern in self.patterns
        )

    def keep(self, cell: CellSettings) -> bool:
        """Whether a cell matches an ``--only``, or there is none."""
        return not self.patterns or any(_has(cell, pattern) for pattern in self.patterns)

    def check_matches(self, cells: Collection[CellSettings]) -> None:
        """Raises SweepFileError at an ``--only`` that matches no cell; beside others it would be ignored."""
        for text, pattern in zip(self.only_texts, self.patterns, strict=True):
            if not any(_has(cell, pattern) for cell in cells):
                problems = (problem_with(key, value) for key, value in pattern.items())
                named = next((problem for problem in problems if problem), "no cell of the sweep matches; fsl plan lists them")
                raise SweepFileError(f"--only {text}: {named}")

    def limits(self, cells: Collection[CellSettings]) -> tuple[str, ...]:
        """A sentence for each ``--set`` that leaves cells with the setting as they are, since it is an axis of other cells alone."""
        return tuple(text for key in self.values if (text := self._limit_of(key, cells)) is not None)

    def _limit_of(self, key: str, cells: Collection[CellSettings]) -> str | None:
        kept = [getattr(cell, key) for cell in cells if cell.has(key) and getattr(cell, key) not in self.values[key]]
        if not kept or None in self.values[key]:  # null asks for the default, which differs from cell to cell
            return None
        (_, place), *_ = self.placed(key)
        values = written(list(dict.fromkeys(kept)))[1:-1]
        return f"{place.text} leaves {len(kept)} of {len(cells)} cells at {values}: {key} is an axis of some of the sweep's cells alone"

    def placed(self, name: str) -> list[tuple[Any, Place]]:
        """The values of a ``--set``, each with the option as its place."""
        values = list(self.values[name])
        place = Place(f"--set {name}={written(values[0] if len(values) == 1 else values)}")
        return [(value, place) for value in values]


def _has(cell: CellSettings, pattern: Mapping[str, Any]) -> bool:
    return all(getattr(cell, key) == value for key, value in pattern.items())


def parse_overrides(set_values: Sequence[str], only: Sequence[str], seeds: str | None) -> Overrides:
    """Parse the options. Raises SweepFileError with the option, its fault and the accepted form."""
    return Overrides(
        values=_given_once(set_values),
        patterns=tuple(parse_pattern(text) for text in only),
        seeds=None if seeds is None else _parse_seeds(seeds),
        only_texts=tuple(only),
    )


def _given_once(texts: Sequence[str]) -> dict[str, list[Any]]:
    """The values of each ``--set``: one option per key, with a list for several values."""
    given: dict[str, list[Any]] = {}
    for text in texts:
        key, values = _values(text)
        if key in given:
            every = list(dict.fromkeys([*given[key], *values]))
            advice = f"give {key}={written(every)} for both" if len(every) > 1 else "give it once"
            raise SweepFileError(f"--set {text}: {key} is set twice; {advice}")
        given[key] = values
    return given


def _values(text: str) -> tuple[str, list[Any]]:
    source = f"--set {text}"
    key, value = _assignment(text, source)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise SweepFileError(f"{source}: an empty axis; give at least one value")
    for item in values:
        if problem := problem_with(key, item):
            raise SweepFileError(f"{source}: {problem}")
    return key, values


def parse_pattern(text: str, *, option: str = "--only", advice: str = _ONE_VALUE) -> dict[str, Any]:
    """The settings that a text such as ``way=5,shot=1`` asks for.

    Args:
        text: as typed.
        option: the option with the text.
        advice: how to give several values of one key.

    Raises:
        SweepFileError: with the option, its fault and the accepted form.
    """
    source = f"{option} {text}"
    pattern: dict[str, Any] = {}
    for part in _COMMA_OUTSIDE_BRACKETS.split(text):
        if pattern and "=" not in part:
            raise SweepFileError(f"{source}: {part!r} is not key=value; {advice}")
        key, value = _assignment(part, source)
        if key in pattern or isinstance(value, list):
            raise SweepFileError(f"{source}: several values of {key}; {advice}")
        pattern[key] = value
        if problem := type_problem(key, value):
            raise SweepFileError(f"{source}: {key}: {problem}")
    return pattern


def _assignment(text: str, source: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise SweepFileError(f"{source}: write key=value")
    if key not in SETTING_NAMES:
        raise SweepFileError(f"{source}: {unknown_setting(key, on_command_line=True)}")
    return key, parse_scalar(value, source=source)


def _parse_seeds(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(_WHOLE.fullmatch(part) for part in parts):
        raise SweepFileError(f"--seeds {text}: write whole numbers separated by commas, such as 0,1,2")
    seeds = tuple(map(int, parts))
    if any(not 0 <= seed <= MOST_WHOLE for seed in seeds) or len(set(seeds)) != len(seeds):
        raise SweepFileError(f"--seeds {text}: seeds are different numbers from 0 to {MOST_WHOLE}")
    return seeds
