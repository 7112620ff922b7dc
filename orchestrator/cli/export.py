"""``fsl export``: trials, cells, published numbers, episodes and curves as typed columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from orchestrator.api.exporting import export as export_tables
from orchestrator.cli.options import folder_option, json_option, sweep_options
from orchestrator.launch.workspace import Sweep


@click.command()
@sweep_options("runs_root", "data_root")
@click.option(
    "--format", "form", type=click.Choice(("parquet", "csv")), default="parquet", show_default=True, help="The kind of files."
)
@folder_option("-o", "--output", help="Folder; default <runs-root>/exports/<sweep>[.<plan>].")
@json_option
def export(sweep: Sweep, form: Literal["parquet", "csv"], output: Path | None, as_json: bool) -> None:
    """Write trials, cells, published numbers, episodes and curves.

    Where an algorithm adapts, its adaptation is a file too. The paths are printed.
    """
    exports = export_tables(sweep, output, form=form)
    if as_json:
        rows = {name: {"path": str(path), "rows": len(exports.frames[name])} for name, path in exports.files.items()}
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo("\n".join(map(str, exports.files.values())))
