"""Writes comparisons in all formats into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fsl_core.atomic_file import write_atomically
from fsl_core.listeners import Notice
from orchestrator.report.comparison import Comparison
from orchestrator.report.comparison_text import render_comparison
from orchestrator.report.drawing import draw_if_possible

_FILES = {"text": "comparison.txt", "json": "comparison.json", "csv": "comparison.csv"}


def write_comparison(
    folder: Path, compared: Sequence[Comparison], left_out: Sequence[str], *, notice: Notice
) -> tuple[Path, ...]:
    """Write ``comparison.txt``, ``.json``, ``.csv`` and ``.png``; a figure that cannot be drawn is left out, with a notice."""

    def figure(path: Path) -> Path:
        from orchestrator.report.comparison_figure import comparison_figure

        tables = dict.fromkeys(row.table for each in compared for row in (each.first, each.second))
        return comparison_figure(compared, path, title=" and ".join(tables))

    paths = []
    for form, name in _FILES.items():
        write_atomically(folder / name, render_comparison(compared, left_out, form).encode())
        paths.append(folder / name)
    picture = draw_if_possible(figure, folder / "comparison.png", notice)
    return (*paths, picture) if picture else tuple(paths)
