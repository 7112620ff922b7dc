"""``fsl export``: trials, cells, episodes and curves as typed columns."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestrator.cli.opened import open_sweep
from orchestrator.cli.options import Given, Selection, folder_option, json_option, takes_places, takes_selection
from orchestrator.records.trial_lock import is_held
from orchestrator.sweep.folder import check_folder


@click.command()
@takes_selection
@takes_places("runs_root", "data_root")
@click.option("--format", "form", type=click.Choice(("parquet", "csv")), required=True, help="The kind of files.")
@folder_option("-o", "--output", help="Folder; default <runs-root>/exports/<sweep>[.<plan>].")
@json_option
def export(selection: Selection, given: Given, form: str, output: Path | None, as_json: bool) -> None:
    """Write the tables trials, cells, episodes, curves and (of MAML) adaptation, and print the files' paths."""
    from orchestrator.cli.reports import read_run_ids, rows_of
    from orchestrator.report.export import frames, write_exports

    opened = open_sweep(selection, given)
    name = opened.plan.spec.name + (f".{opened.plan.fingerprint}" if opened.plan.spec.overrides else "")
    folder = output or opened.places.runs_root / "exports" / name
    check_folder(folder, "folder of exports", for_writing=True)
    held = {trial.fingerprint for trial in opened.plan.trials if is_held(opened.store.paths(trial.fingerprint).lock)}
    tables = frames(opened.plan, opened.records, rows_of(opened), run_ids=read_run_ids(opened), held=held)
    paths = write_exports(tables, folder, form)
    if as_json:
        click.echo(json.dumps({path.stem: {"path": str(path), "rows": len(tables[path.stem])} for path in paths}, indent=2))
    else:
        click.echo("\n".join(map(str, paths)))
