"""``fsl compare``: differences of rows of one table, or of the same cells of two, paired by test episode and seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.opened import open_sweep
from orchestrator.cli.options import Given, Selection, folder_option, json_option, takes_places
from orchestrator.report.comparison_text import FORMATS, render_comparison
from orchestrator.sweep.folder import check_folder

if TYPE_CHECKING:
    from orchestrator.report.comparison_row import ComparedRow

_TABLE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("tables", nargs=-1, required=True, type=_TABLE, metavar="TABLE [TABLE]")
@click.option(
    "--rows", nargs=2, metavar="FIRST SECOND", help="Rows of one table: numbers, ids of cells, or settings as of --only."
)
@click.option("--by", metavar="KEY", help="Rows that differ in this setting: distance, order, steps, …")
@click.option("--only", multiple=True, metavar="'way=5,shot=1'", help="Keep only the rows that match; repeatable.")
@takes_places("runs_root", "data_root")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="How to print it.")
@folder_option("-o", "--output", help="Folder for comparison.txt, .json, .csv and .png.")
@json_option
def compare(
    tables: Sequence[Path],
    rows: tuple[str, str] | None,
    by: str | None,
    only: Sequence[str],
    given: Given,
    form: str,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare rows that answered the same test episodes: the second less the first.

    A TABLE is a sweep file, whose finished trials count, or a folder of exports such as results/NAME. Of one table every two rows of the
    same episodes are compared, or those of --rows or --by; of two tables the same cells, whatever --by has.
    """
    from orchestrator.report.comparison import compare as compare_pairs
    from orchestrator.report.comparison_folder import write_comparison
    from orchestrator.report.comparison_pairs import choose_pairs, selected

    sides = [selected(_rows_of(table, given), only) for table in tables]
    chosen = choose_pairs(sides, rows=rows, by=by)
    compared = compare_pairs(chosen.pairs)
    if output is not None:
        check_folder(output, "folder of the comparison", for_writing=True)
        write_comparison(output, compared, chosen.left_out, notice=partial(click.echo, err=True))
    click.echo(render_comparison(compared, chosen.left_out, "json" if as_json else form).rstrip("\n"))


def _rows_of(table: Path, given: Given) -> tuple[ComparedRow, ...]:
    from orchestrator.cli.reports import rows_of
    from orchestrator.report.comparison_row import read_rows, rows_of_tables
    from orchestrator.report.export import frames

    if table.is_dir():
        return read_rows(table, str(table))
    opened = open_sweep(Selection(sweep=table), given)
    return rows_of_tables(frames(opened.plan, opened.records, rows_of(opened)), opened.plan.spec.name)
