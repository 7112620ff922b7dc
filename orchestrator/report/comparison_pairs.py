"""Chooses the pairs of rows to compare: named rows, rows along one setting, or the same cells of two tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from orchestrator.errors import ComparisonError
from orchestrator.report.comparison import unlike
from orchestrator.report.comparison_row import ComparedRow
from orchestrator.sweep.cell_settings import SETTING_NAMES, descriptions
from orchestrator.sweep.overrides import parse_overrides, parse_pattern
from orchestrator.sweep.unknown_setting import unknown_setting

Pair = tuple[ComparedRow, ComparedRow]
_DEGREES = ("scale",)
"""Settings that name a form, but in which two rows of one cell may differ."""
_KIND = {key for key, said in descriptions().items() if said.form and key not in _DEGREES} | {"dataset", "way", "shot"}
"""Settings in which two rows must agree to be the same cell, if both have them."""
_SHORTEST_ID = 4
_NEXT = "; --rows FIRST SECOND or --by KEY compares rows of different episodes without pairing them"


@dataclass(frozen=True)
class Pairs:
    """The pairs to compare, with the subtracted row first, and a sentence for each omission."""

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()


def choose_pairs(tables: Sequence[Sequence[ComparedRow]], *, rows: tuple[str, str] | None = None, by: str | None = None) -> Pairs:
    """The pairs of one table, by the named ``rows``, along the setting ``by``, or all; or the same cells of two tables.

    Raises:
        ComparisonError: there are more than two tables, two of one name, options that contradict each other, a table without a finished
            seed, or no such pair.
    """
    if not 1 <= len(tables) <= 2 or len({each[0].table for each in tables}) < len(tables):
        raise ComparisonError("give one table, or two of different names")
    if rows and (by or len(tables) == 2):
        raise ComparisonError("--rows names rows of one table: it excludes --by and a second table")
    if by is not None and by not in SETTING_NAMES:
        raise ComparisonError(f"--by {by}: {unknown_setting(by)}")
    for table in tables:
        if not any(row.by_seed for row in table):
            raise ComparisonError(f"no row of {_tables(table)} has a finished seed yet")
    if len(tables) == 2:
        return same_cells(*tables, free=() if by is None else {by})
    if rows:
        return _named_pairs(tables[0], *rows)
    return _every_pair(tables[0]) if by is None else _pairs_by(tables[0], by)


def _every_pair(rows: Sequence[ComparedRow]) -> Pairs:
    """All pairs of rows that are known to have the same episodes."""
    known, left_out = _finished(rows)
    pairs = [pair for pair in combinations(known, 2) if _answer_the_same(*pair)]
    return _some(pairs, left_out, f"no two rows of {_tables(rows)} have the same episodes{_NEXT}")


def _pairs_by(rows: Sequence[ComparedRow], key: str) -> Pairs:
    """All pairs of rows of one kind that differ in the setting, and otherwise only in what follows from it."""
    known, left_out = _finished(rows)
    candidates = [pair for pair in combinations(known, 2) if key in unlike(*pair) and _same_kind(*pair, free={key})]
    further = [(pair, _differing_by_themselves(*pair, key, rows)) for pair in candidates]
    pairs = [pair for pair, others in further if not others]
    paired = {id(row) for pair in pairs for row in pair}
    alone = [(row, others) for pair, others in further for row in pair if id(row) not in paired]
    said = {
        row.number: f"row {row.number} of {row.table}: no row differs in {key} alone, but also in {', '.join(others)}"
        for row, others in alone
    }
    advice = "; --rows FIRST SECOND compares any two rows"
    return _some(pairs, (*left_out, *said.values()), f"no two rows of {_tables(rows)} differ in {key} alone{advice}")


def _differing_by_themselves(first: ComparedRow, second: ComparedRow, key: str, rows: Sequence[ComparedRow]) -> list[str]:
    """The further settings in which two rows differ that do not follow from ``key``.

    One follows where all rows of the kind with one value of ``key`` agree in it, as a preset's learning rate does. A trained and an
    untrained row differ in ``steps`` by themselves.
    """
    others = [name for name in unlike(first, second) if name != key]
    untrained = 0 in (first.settings.get("steps"), second.settings.get("steps"))
    return [
        name
        for name in others
        if (name == "steps" and untrained) or any(_varies(name, side, key, rows) for side in (first, second))
    ]


def _varies(name: str, like: ComparedRow, key: str, rows: Sequence[ComparedRow]) -> bool:
    """Whether a row of one kind with ``like``, and with the same value of ``key``, has another value of ``name``."""
    return any(
        {key, name} & set(found) == {name} and _same_kind(like, row, free=()) for row in rows if (found := unlike(like, row))
    )


def _named_pairs(rows: Sequence[ComparedRow], first: str, second: str) -> Pairs:
    """The rows that one text names, paired with those that another names.

    If each names one row, these two form a pair; otherwise rows of the same kind do, apart from the settings that the texts name.
    """
    keys: set[str] = set()
    sides = [_named_rows(rows, text, keys) for text in (first, second)]
    if any(len(side) > 1 for side in sides):
        return same_cells(*sides, free=keys)
    (one,), (other,) = sides
    _, left_out = _finished([one, other])
    return _some([] if left_out else [(one, other)], left_out, "the two rows cannot be compared")


def same_cells(first: Sequence[ComparedRow], second: Sequence[ComparedRow], *, free: Collection[str] = ()) -> Pairs:
    """Each row of the first table, paired with the row of the second that is the same cell.

    The same cell is a row of the same kind, whatever its ``free`` settings; of several, the one with the fewest other differences.

    Raises:
        ComparisonError: no row has a counterpart, or a row has several equally near ones.
    """
    (known, left_out), (others, lacking) = _finished(first), _finished(second)
    found = [(row, _counterpart(row, others, free)) for row in known]
    pairs = [(row, other) for row, other in found if other is not None]
    met = {id(row) for pair in pairs for row in pair}
    alone = [_said([row for row in rows if id(row) not in met], "no counterpart") for rows in (known, others)]
    problem = f"{_tables([*first, *second])}: the two share no cell with a finished seed on both sides"
    return _some(pairs, (*left_out, *lacking, *alone[0], *alone[1]), problem)


def _counterpart(row: ComparedRow, others: Sequence[ComparedRow], free: Collection[str]) -> ComparedRow | None:
    alike = [other for other in others if other is not row and _same_kind(row, other, free=free)]
    if not alike:
        return None
    differences = [sum(key not in free for key in unlike(row, other)) for other in alike]
    nearest_ones = [other for other, count in zip(alike, differences, strict=True) if count == min(differences)]
    if len(nearest_ones) > 1:
        names = " and ".join(_named(other) for other in nearest_ones[:2])
        raise ComparisonError(f"{_named(row)} has several counterparts, such as {names}; narrow them down with --only or --rows")
    return nearest_ones[0]


def _same_kind(row: ComparedRow, other: ComparedRow, *, free: Collection[str]) -> bool:
    return not any(key in _KIND and key not in free for key in unlike(row, other))


def _answer_the_same(first: ComparedRow, second: ComparedRow) -> bool:
    return bool(first.questions and second.questions and first.questions.pairing(second.questions))


def selected(rows: Sequence[ComparedRow], only: Sequence[str]) -> tuple[ComparedRow, ...]:
    """The rows that match one of several ``--only`` texts, or all rows where there is no text.

    Raises:
        SweepFileError: a text does not name settings.
        ComparisonError: no row matches.
    """
    patterns = parse_overrides((), only, None).patterns
    found = tuple(row for row in rows if not patterns or any(_matches(row, pattern) for pattern in patterns))
    if not found:
        raise ComparisonError(
            f"no row matches --only {' --only '.join(only)}; {_listed(rows)}" if rows else "a table has no rows"
        )
    return found


def _named_rows(rows: Sequence[ComparedRow], text: str, keys: set[str]) -> list[ComparedRow]:
    """The rows that a text of ``--rows`` names; the keys of its settings are added to ``keys``."""
    if "=" in text:
        pattern = parse_pattern(text, option="--rows", advice="--rows takes one value per key")
        keys.update(pattern)
        found = [row for row in rows if _matches(row, pattern)]
    else:
        found = [row for row in rows if text == str(row.number) or _begins(row.cell, text)]
    if not found:
        raise ComparisonError(f"--rows: no row is {text!r}; give a row's number, its cell's id or settings; {_listed(rows)}")
    return found


def _begins(cell: str, text: str) -> bool:
    bare = text.removeprefix("c-")
    return len(bare) >= _SHORTEST_ID and cell.removeprefix("c-").startswith(bare)


def _matches(row: ComparedRow, pattern: Mapping[str, object]) -> bool:
    return all(row.settings.get(key) == value for key, value in pattern.items())


def _finished(rows: Sequence[ComparedRow]) -> tuple[tuple[ComparedRow, ...], tuple[str, ...]]:
    """The rows whose scores have an interval, and a sentence about the others."""
    lacking = [row for row in rows if not row.by_seed]
    single = [row for row in rows if row.by_seed and len(next(iter(row.by_seed.values()))) < 2]
    known = tuple(row for row in rows if row not in lacking and row not in single)
    return known, (*_said(lacking, "no finished seed"), *_said(single, "one test episode, so no interval"))


def _said(rows: Sequence[ComparedRow], lack: str) -> tuple[str, ...]:
    """A sentence that these rows of one table have ``lack``; empty where there are no rows."""
    numbers = ", ".join(str(row.number) for row in rows)
    return (f"row{'s' * (len(rows) > 1)} {numbers} of {_tables(rows)}: {lack}",) if rows else ()


def _some(pairs: Sequence[Pair], left_out: tuple[str, ...], problem: str) -> Pairs:
    if not pairs:
        raise ComparisonError("; ".join((problem, *left_out)))
    return Pairs(tuple(pairs), left_out)


def _tables(rows: Sequence[ComparedRow]) -> str:
    return " and ".join(dict.fromkeys(row.table for row in rows))


def _named(row: ComparedRow) -> str:
    return f"row {row.number} of {row.table} ({row.name})"


def _listed(rows: Sequence[ComparedRow]) -> str:
    return "the rows are " + "; ".join(f"{row.number} {row.name}" for row in rows)
