"""``fsl table``: the table as it stands, from the results alone."""

from __future__ import annotations

import click

from orchestrator.cli.opened import open_sweep
from orchestrator.cli.options import Given, Selection, json_option, takes_places, takes_selection
from orchestrator.report.table import FORMATS


@click.command()
@takes_selection
@takes_places("runs_root", "data_root")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="How to print it.")
@click.option("--classes", is_flag=True, help="Add the interval that counts other test classes too (csv and json have it).")
@json_option
def table(selection: Selection, given: Given, form: str, classes: bool, as_json: bool) -> None:
    """Print the reproduced table beside the published one, at any time; missing numbers are missing."""
    from orchestrator.cli.reports import rendered_table

    opened = open_sweep(selection, given)
    click.echo(rendered_table(opened, "json" if as_json else form, classes=classes).rstrip("\n"))
