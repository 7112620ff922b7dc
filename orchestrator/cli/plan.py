"""``fsl plan``: what a sweep is, what of it is done, and what the rest will cost."""

from __future__ import annotations

import json
from pathlib import Path

import click

from orchestrator.cli.forecasting import Probing, forecast, takes_probing
from orchestrator.cli.launch import HowToRun, reach_cluster, takes_how, wanted_device
from orchestrator.cli.opened import OpenedSweep, open_sweep, unprepared_images
from orchestrator.cli.options import Given, Selection, folder_option, json_option, takes_places, takes_selection
from orchestrator.cli.plan_document import plan_document
from orchestrator.cli.plan_text import plan_text
from orchestrator.cli.reports import registries_for
from orchestrator.cli.settings import settings_text
from orchestrator.counted import counted
from orchestrator.report.reach import reaches
from orchestrator.sweep.folder import check_folder


@click.command()
@takes_selection
@takes_places("data_root", "runs_root")
@takes_how
@takes_probing
@click.option("--settings", is_flag=True, help="Also show which settings each cell uses and which preset they come from.")
@click.option("--trials", is_flag=True, help="Also show every trial and what it takes.")
@folder_option(
    "--write-trials", help="Also write each trial that is not trained into a folder here, for python -m fsl_core.train."
)
@json_option
def plan(
    selection: Selection,
    given: Given,
    how: HowToRun,
    probing: Probing,
    settings: bool,
    trials: bool,
    write_trials: Path | None,
    as_json: bool,
) -> None:
    """Show how long a sweep will take, its cells, and what of it is done. No image is prepared or downloaded."""
    opened = open_sweep(selection, given)
    if write_trials is not None:
        _write_trials(opened, write_trials)
    if settings and not as_json:
        click.echo(settings_text(opened.plan) + "\n")
    show_plan(opened, how, probing, trials=trials, as_json=as_json)


def _write_trials(opened: OpenedSweep, folder: Path) -> None:
    from orchestrator.launch.trial_requests import write_requests  # torch, only where trials are written

    check_folder(folder, "folder of trials", for_writing=True)
    places = opened.places
    wanted = write_requests(opened.plan, opened.records, folder, data_root=places.data_root, cache_root=places.cache_root)
    click.echo(f"{counted(len(wanted), 'trial')} to train written into {folder}; README.txt there says how", err=True)


def show_plan(opened: OpenedSweep, how: HowToRun, probing: Probing, *, trials: bool = False, as_json: bool = False) -> None:
    """Print a plan for the device that is asked for, be it here or not, after timing what is unknown where that is wanted."""
    cluster = reach_cluster(how)
    expected = forecast(opened, device=wanted_device(how, cluster), how=how, cluster=cluster, probing=probing)
    unprepared = unprepared_images(opened.plan.spec, opened.places) if expected.left else ()
    reach = reaches(opened.plan, registries_for(opened))
    if as_json:
        click.echo(json.dumps(plan_document(opened, expected, unprepared=unprepared, reach=reach), indent=2))
    else:
        click.echo(plan_text(opened, expected, unprepared=unprepared, reach=reach, trials=trials))
