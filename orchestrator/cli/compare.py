"""``fsl compare``: differences of rows of one table, or of the same cells of two, paired by test episode and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from orchestrator.api.comparing import compare as compare_tables
from orchestrator.api.comparing import table_named
from orchestrator.cli.options import echo_notice, folder_option, json_option, place_options, selection_options, stderr_callbacks
from orchestrator.launch.places import PlaceOptions


@click.command()
@click.argument("tables", nargs=-1, required=True, metavar="TABLE [TABLE]")
@click.option(
    "--rows", nargs=2, metavar="FIRST SECOND", help="Rows of one table: numbers, ids of cells, or settings as of --only."
)
@click.option("--by", metavar="KEY", help="Rows that differ in this setting: distance, order, steps, …")
@click.option("--only", multiple=True, metavar="'way=5,shot=1'", help="Keep only the rows that match; repeatable.")
@selection_options("set_values", "seeds")
@place_options("runs_root", "data_root")
@click.option(
    "--format", "form", type=click.Choice(("text", "json", "csv")), default="text", show_default=True, help="How to print it."
)
@folder_option("-o", "--output", help="Folder for comparison.txt, .json, .csv and .png.")
@json_option
def compare(
    tables: Sequence[str],
    *,
    rows: tuple[str, str] | None,
    by: str | None,
    only: Sequence[str],
    selection: Mapping[str, Any],
    places: PlaceOptions,
    form: Literal["text", "json", "csv"],
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare rows of the table, paired by test episode and seed. A difference is the second less the first.

    A TABLE is a sweep file or its name, whose finished trials count, or a folder of exports such as results/NAME. Of one table every two
    rows of the same episodes are compared, or those of --rows or --by; of two tables the same cells, whatever --by has. --set
    and --seeds are those of the sweep's launch.
    """
    sources = [table_named(table, callbacks=stderr_callbacks(), **selection, **vars(places)) for table in tables]
    compared = compare_tables(*sources, rows=rows, by=by, only=only)
    if output is not None:
        compared.write(output, notice=echo_notice)
    click.echo(compared.text("json" if as_json else form).rstrip("\n"))
