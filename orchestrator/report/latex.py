"""Renders the table in LaTeX, as wide as a one-column article's text; its first line names the required packages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrator.report.published_columns import RANKS
from orchestrator.report.row_text import SPREAD, TEXTS_FIRST, Line, head, table_text
from orchestrator.report.table_rows import CellRow
from orchestrator.sweep.spec import SweepSpec

_SHORTER = {SPREAD: "std", RANKS[1]: "also"}
"""Replacements of headings that are wider than their columns."""
_MANY_COLUMNS = 8
"""From this number the columns are narrower, with 20 mm for the verdict, so that two published ones with intervals fit."""
_PAGE_LINES, _NOTE_CHARACTERS = 100, 95
"""The half lines of a table that fit on a page, and the characters in a line of a footnote."""
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    "…": r"\dots{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\texttt{\char34}",
}
_LIGATURES = re.compile(r"(?<=[-–])(?=[-–])|(?<=')(?=')|(?<=,)(?=,)|(?<=[`?!])(?=`)")
"""The places between characters that fonts join, such as two hyphens into a dash."""


def latex(rows: Sequence[CellRow], spec: SweepSpec, classes: bool) -> str:
    """The table with a line above each algorithm and data set, footnotes, a caption and the label ``tab:<sweep>``.

    A table that fits on a page is a floating ``table``; a longer one is a ``longtable``, which spans pages.
    """
    table = table_text(rows, spec, brief=True, further=True, classes=classes)
    legend = table.legend.replace(SPREAD, _SHORTER[SPREAD])
    text = " ".join(each if each.endswith(".") else f"{each}." for each in (*head(spec), legend))
    caption = rf"\caption{{{escaped(text)}}}\label{{tab:{spec.name}}}"
    heading = [
        r"\toprule",
        _row([escaped(_SHORTER.get(name, name)) for name in table.headings[TEXTS_FIRST:]]),
        r"\midrule",
    ]
    content = [*_grouped(table.lines), r"\bottomrule"]
    height = 2 * len(content) + sum(1 + len(note) // _NOTE_CHARACTERS for note in table.notes)
    made = _long if height > _PAGE_LINES else _floating
    return "\n".join(made(caption, len(table.headings) - TEXTS_FIRST, heading, content, _noted(table.notes))) + "\n"


def _columns(count: int) -> str:
    """The columns without the first two, which have lines of their own; the last, the verdict, breaks its lines."""
    return rf"@{{}}{'r' * (count - 1)}p{{{20 if count >= _MANY_COLUMNS else 26}mm}}@{{}}"


def _layout(count: int) -> tuple[str, str]:
    return r"\footnotesize", rf"\setlength{{\tabcolsep}}{{{2 if count >= _MANY_COLUMNS else 3}pt}}"


def _floating(caption: str, columns: int, heading: list[str], content: list[str], notes: list[str]) -> list[str]:
    table = [rf"\begin{{tabular}}{{{_columns(columns)}}}", *heading, *content, r"\end{tabular}"]
    beneath = [r"\par\smallskip", r"\begin{minipage}{\linewidth}", *notes, r"\end{minipage}"] if notes else []
    above = ["% \\usepackage{booktabs}", r"\begin{table}", r"\centering", caption, r"\smallskip"]
    return [*above, *_layout(columns), *table, *beneath, r"\end{table}"]


def _long(caption: str, columns: int, heading: list[str], content: list[str], notes: list[str]) -> list[str]:
    first = [rf"{caption} \\ \addlinespace", *heading, r"\endfirsthead", *heading, r"\endhead"]
    table = [rf"\begin{{longtable}}{{{_columns(columns)}}}", *first, *content, r"\end{longtable}"]
    return ["% \\usepackage{booktabs,longtable}", r"\begingroup", *_layout(columns), *table, *notes, r"\endgroup"]


def escaped(text: str) -> str:
    """The text escaped for LaTeX, without ligatures."""
    parts = _LIGATURES.split(text)
    return "{}".join("".join(_ESCAPED.get(character, character) for character in part) for part in parts)


def _row(cells: Sequence[str]) -> str:
    r"""A row, ended by ``\tabularnewline``, because ``\\`` has another meaning in a column that breaks lines."""
    return " & ".join([*cells[:-1], rf"\raggedright {cells[-1]}"]) + r" \tabularnewline"


def _grouped(lines: Sequence[Line]) -> list[str]:
    """The rows, with a line for algorithm and data set where they change."""
    parts: list[str] = []
    above: list[str] = []
    for line in lines:
        if line.cells[:TEXTS_FIRST] != above:
            above = line.cells[:TEXTS_FIRST]
            parts += [*([r"\addlinespace"] if parts else []), _across(", ".join(above), len(line.cells) - TEXTS_FIRST)]
        parts.append(_row([_number(escaped(cell)) for cell in line.cells[TEXTS_FIRST:-1]] + [_with_marks(line)]))
    return parts


def _across(text: str, columns: int) -> str:
    """A line over all columns, which may wrap, but has no page break before the next row."""
    layout = r"@{}p{0.95\linewidth}@{}"
    return rf"\multicolumn{{{columns}}}{{{layout}}}{{\raggedright\itshape {escaped(text)}}} \tabularnewline*"


def _number(text: str) -> str:
    """A number with a minus sign for its hyphen, and the letter of its registry as a superscript."""
    return re.sub(r" ([a-z]+)$", r"\\textsuperscript{\1}", re.sub(r"^([+-])(?=\d)", r"$\1$", text))


def _with_marks(line: Line) -> str:
    marks = rf"\textsuperscript{{{','.join(line.marks)}}}" if line.marks else ""
    return escaped(line.cells[-1]) + marks


def _noted(notes: dict[str, str]) -> list[str]:
    texts = [rf"\textsuperscript{{{number}}}\,{escaped(text)}\par" for text, number in notes.items()]
    return [r"\scriptsize\raggedright\setlength{\parindent}{0pt}", *texts] if texts else []
