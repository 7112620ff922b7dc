"""``fsl run``: compute what a sweep lacks, and print its table."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.console import Console

from orchestrator.cli.columns import duration_text
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.launch import can_have_images, choose_device, make_executor, make_tracker, prepare_images
from orchestrator.cli.opened import OpenedSweep, open_sweep
from orchestrator.cli.options import Given, Selection, takes_places, takes_selection
from orchestrator.cli.plan import forecast, plan_text
from orchestrator.cli.reports import Reports
from orchestrator.cli.status import failures_text, trial_statuses
from orchestrator.progress import make_view
from orchestrator.sweep import RunOptions, SweepOutcome, is_done, run_sweep

ASK_FROM_SECONDS = 1800.0
"""A launch predicted to take longer than this asks first, where somebody can answer."""


@click.command()
@takes_selection
@takes_places("data_root", "runs_root", "results_root", "tracking_uri")
@click.option("--address", envvar="RAY_ADDRESS", show_envvar=True, help="Ray cluster to run on; default: one on this machine.")
@click.option("--executor", type=click.Choice(("ray", "in-process")), default="ray", show_default=True, help="Who runs trials.")
@click.option("--max-concurrent", type=click.IntRange(1), help="Most trials at once.")
@click.option("--device", type=click.Choice(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where to compute.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `fsl plan` does.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a long run.")
def run(selection: Selection, given: Given, dry_run: bool, yes: bool, **how: str | int | None) -> None:
    """Compute the trials that a sweep lacks, and print its table. Run it again to go on where it stopped.

    The first Ctrl-C writes checkpoints and stops, a second one stops at once. Nothing finished is computed twice.
    """
    if dry_run:
        click.echo(plan_text(open_sweep(selection, given)))
        return
    opened = open_sweep(selection, given, has_data=lambda spec, places: can_have_images(spec, places, _tell))
