"""``fsl table``: the table as it stands, from the results alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.api.tables import TableForm
from orchestrator.api.tables import table as table_of
from orchestrator.cli.options import json_option, sweep_options
from orchestrator.report.table import FORMATS

if TYPE_CHECKING:
    from orchestrator.launch.workspace import Sweep


@click.command()
@sweep_options("runs_root", "data_root")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", show_default=True, help="How to print it.")
@click.option("--classes", is_flag=True, help="Add the interval that counts other test classes too (csv and json have it).")
@json_option
def table(sweep: Sweep, form: TableForm, classes: bool, as_json: bool) -> None:
    """Print the table as it stands, beside the published numbers. A number that is missing yet is a dash."""
    click.echo(table_of(sweep).text("json" if as_json else form, classes=classes).rstrip("\n"))
