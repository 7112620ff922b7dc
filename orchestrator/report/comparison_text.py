"""Renders comparisons as text, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from fsl_core.written import written
from orchestrator.report.json_keys import COMPARISON_KEYS, SCHEMA_VERSION
from orchestrator.report.published_columns import MISSING
from orchestrator.report.table import WIDTH
from orchestrator.report.verdict import LEAST_EPISODES

if TYPE_CHECKING:
    from orchestrator.report.comparison import Comparison
    from orchestrator.report.comparison_row import ComparedRow

_HEADINGS = ("rows", "difference", "episodes", "unpaired", "classes", "r", "std (seeds)", "p", "Holm", "notes")


def render_comparison(compared: Sequence[Comparison], left_out: Sequence[str], form: str) -> str:
    """Comparisons in ``text``, ``json`` or ``csv``; a pure function of them. ``left_out``: a sentence for each row without a pair."""
    return FORMATS[form](compared, left_out)


def _plain(value: object) -> object:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def values_of(each: Comparison) -> dict[str, object]:
    """A comparison under the keys of :data:`COMPARISON_KEYS`."""
    own = {key: getattr(each, key) for key in COMPARISON_KEYS if hasattr(each, key)}
    for side, row in (("first", each.first), ("second", each.second)):
        own |= {f"{side}_table": row.table, f"{side}_row": row.number, f"{side}_cell": row.cell, f"{side}_name": row.name}
        own |= {f"{side}_seeds": row.seeds}
    own["unlike"] = tuple(_unlike(each))
    return {key: _plain(own[key]) for key in COMPARISON_KEYS}


def _json(compared: Sequence[Comparison], left_out: Sequence[str]) -> str:
    comparisons = [values_of(each) for each in compared]
    document = {"schema_version": SCHEMA_VERSION, "comparisons": comparisons, "left_out": list(left_out)}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _csv(compared: Sequence[Comparison], left_out: Sequence[str]) -> str:
    """A line per comparison. Spaces separate seeds, semicolons the items of other lists; missing values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COMPARISON_KEYS)
    for each in compared:
        writer.writerow([_in_a_field(key, value) for key, value in values_of(each).items()])
    return out.getvalue()


def _in_a_field(key: str, value: object) -> object:
    if not isinstance(value, tuple):
        return value
    return (" " if key.endswith("seeds") else "; ").join(map(str, value))


def _text(compared: Sequence[Comparison], left_out: Sequence[str]) -> str:
    """The rows by number, then their differences, then a legend and notes."""
    tables = list(dict.fromkeys(row.table for each in compared for row in (each.first, each.second)))
    letters = {table: "" if len(tables) == 1 else letter for table, letter in zip(tables, "ab", strict=False)}
    notes: dict[str, str] = {}
    lines = [_line(each, letters, notes, several=len(compared) > 1) for each in compared]
    foot = [
        _legend(compared),
        *(f"[{number}] {note}" for note, number in notes.items()),
        *(f"left out: {each}" for each in left_out),
    ]
    parts = [
        [f"{letter}: {table}" if letter else table for table, letter in letters.items()],
        _listed(compared, letters),
        _aligned(_without_empty([list(_HEADINGS), *lines])),
        [line for text in foot for line in textwrap.wrap(text, WIDTH)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _label(row: ComparedRow, letters: Mapping[str, str]) -> str:
    return f"{letters[row.table]}{row.number}"


def _listed(compared: Sequence[Comparison], letters: Mapping[str, str]) -> list[str]:
    """Every compared row, in the order of its table, once for each set of seeds over which it was compared."""
    sides = [side for each in compared for side in _sides(each)]
    found = {(_label(row, letters), seeds): (row, accuracy) for row, seeds, accuracy in sides}
    order = sorted(found, key=lambda key: (letters[found[key][0].table], found[key][0].number, key[1]))
    cells = [[key[0], found[key][0].name, f"{found[key][1]:.2f}", _trained_with(key[1])] for key in order]
    return _aligned([["", "row", "accuracy", "trained with"], *cells])


def _sides(each: Comparison) -> list[tuple[ComparedRow, tuple[int, ...], float]]:
    """Both rows with the seeds that were compared, and the accuracy over these."""
    return [
        (each.first, each.seeds or each.first.seeds, each.first_accuracy),
        (each.second, each.seeds or each.second.seeds, each.second_accuracy),
    ]


def _trained_with(seeds: Sequence[int]) -> str:
    """The seeds with the word, because a bare ``0`` would read as a count of none."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _line(each: Comparison, letters: Mapping[str, str], notes: dict[str, str], *, several: bool) -> list[str]:
    marks = sorted({notes.setdefault(note, str(len(notes) + 1)) for note in _notes(each)}, key=int)
    spread = MISSING if each.std_seeds is None else f"{each.std_seeds:.2f} ({len(each.seeds)})"
    return [
        f"{_label(each.second, letters)} − {_label(each.first, letters)}",
        f"{each.difference:+.2f} ± {each.ci95:.2f}",
        f"± {each.ci95_episodes:.2f}",
        f"± {each.ci95_unpaired:.2f}",
        MISSING if each.ci95_classes is None else f"± {each.ci95_classes:.2f}",
        MISSING if each.correlation is None else f"{each.correlation:.2f}",
        spread,
        _p_text(each.p),
        _p_text(each.p_holm) if several else MISSING,
        "".join(f"[{mark}]" for mark in marks),
    ]


def _p_text(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _notes(each: Comparison) -> list[str]:
    """The notes about a comparison."""
    notes = []
    if each.same_scores:
        notes.append("the two rows are the same trainings, scored alike: nothing is compared")
    elif each.same_trials:
        notes.append("the two rows are the same trainings, scored in two ways")
    if each.paired_by is None:
        notes.append("NOT PAIRED: the two rows answered other episodes, or their exports do not say that they are the same")
    elif each.paired_by == "evaluation":
        notes.append(
            "paired by evaluation, images and class split: the exports are from before episodes had a digest of their own"
        )
    if not each.spread_known:
        notes.append("too few seeds to know their spread: interval and p are of these trainings, not of their methods")
    if min(each.first.episodes, each.second.episodes) < LEAST_EPISODES:
        notes.append(
            f"fewer than {LEAST_EPISODES} test episodes, whose spread is poorly known: interval and p may be far too small"
        )
    if each.seeds_differ:
        same = " ".join(map(str, each.seeds))
        notes.append(
            f"of the seeds of the two rows only {same} count, which both have"
            if same
            else "no seed is in both rows: not paired by seed"
        )
    if differing := _unlike(each):
        notes.append(f"they differ in {', '.join(differing)}")
    return notes


def _unlike(each: Comparison) -> list[str]:
    """The settings in which two rows differ, with both values, the first row's first."""
    return [f"{key} {written(each.first.settings[key])} and {written(each.second.settings[key])}" for key in each.unlike]


def _legend(compared: Sequence[Comparison]) -> str:
    """The legend of the shown columns."""
    count = len(compared)
    parts = [
        "difference: the second row less the first, in percentage points, ± half its 95% interval for episodes sampled again from the same "
        "classes and, where several seeds tell it, for other seeds",
        "episodes: what the episodes alone would leave of that",
        "unpaired: the same if the two had answered different episodes",
    ]
    if any(each.ci95_classes is not None for each in compared):
        parts.append("classes: the same as episodes, had other test classes been chosen as well")
    if any(each.correlation is not None for each in compared):
        parts.append("r: correlation of the two over the episodes")
    if any(each.std_seeds is not None for each in compared):
        parts.append("std (seeds): standard deviation of the difference over the seeds, and their number")
    parts.append("p: two-sided, of no difference")
    if count > 1:
        parts.append(f"Holm: p adjusted for the {count} comparisons together")
    return f"{'; '.join(parts)}."


def _without_empty(lines: list[list[str]]) -> list[list[str]]:
    """The lines without the columns that are empty in every comparison."""
    kept = [place for place, column in enumerate(zip(*lines, strict=True)) if set(column[1:]) - {MISSING, ""}]
    return [[line[place] for place in kept] for line in lines]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines in columns: numbers flush right, names of rows and marks of footnotes flush left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {0, 1} if "row" in lines[0] else {0, len(widths) - 1}
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


FORMATS: Mapping[str, Callable[[Sequence[Comparison], Sequence[str]], str]] = {"text": _text, "json": _json, "csv": _csv}
"""Every format of comparisons."""
