"""``fsl plan``: what a sweep is, what of it is done, and what the rest will cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestrator.api.planning import plan_as_asked
from orchestrator.cli.execution_flags import execution_options, probing_options
from orchestrator.cli.options import echo_notice, folder_option, json_option, sweep_options
from orchestrator.cli.plan_document import plan_document
from orchestrator.cli.plan_text import plan_text
from orchestrator.cli.settings_text import settings_text
from orchestrator.counted import counted
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.forecasting import ProbingOptions
from orchestrator.launch.workspace import Sweep, Workspace
from orchestrator.sweep.folder import check_folder


@click.command()
@sweep_options("data_root", "runs_root", says_file=True)
@execution_options
@probing_options
@click.option("--settings", is_flag=True, help="Also show each cell's settings, and where they come from.")
@click.option("--trials", is_flag=True, help="Also show every trial and what it takes.")
@folder_option(
    "--write-trials", help="Also write each trial that is not trained into a folder here, for python -m fsl_core.train."
)
@json_option
def plan(
    sweep: Sweep,
    execution: ExecutionOptions,
    probing: ProbingOptions,
    *,
    settings: bool,
    trials: bool,
    write_trials: Path | None,
    as_json: bool,
) -> None:
    """Show how long a sweep will take, its cells, and what is done. No image is prepared or downloaded."""
    workspace = sweep.workspace()
    if write_trials is not None:
        _write_trials(workspace, write_trials)
    if settings and not as_json:
        click.echo(settings_text(workspace.plan) + "\n")
    planned = plan_as_asked(workspace, execution, probing)
    click.echo(json.dumps(plan_document(planned), indent=2) if as_json else plan_text(planned, trials=trials))


def _write_trials(workspace: Workspace, folder: Path) -> None:
    from orchestrator.launch.trial_requests import write_requests  # torch, only where trials are written

    check_folder(folder, "folder of trials", for_writing=True)
    places = workspace.places
    wanted = write_requests(workspace.plan, workspace.records, folder, data_root=places.data_root, cache_root=places.cache_root)
    echo_notice(f"{counted(len(wanted), 'trial')} to train written into {folder}; README.txt there says how")
