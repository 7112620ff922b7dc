"""``fsl run``: compute what a sweep lacks, and print its table."""

from __future__ import annotations

import shlex
import sys

import click
from rich.console import Console

from orchestrator.cli.columns import duration_text
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.launch import (
    GPU_SHARE,
    HowToRun,
    can_have_images,
    choose_device,
    make_executor,
    make_tracker,
    prepare_images,
    reach_cluster,
    takes_how,
)
from orchestrator.cli.opened import OpenedSweep, open_sweep
from orchestrator.cli.options import Given, Selection, takes_places, takes_selection
from orchestrator.cli.plan import Forecast, forecast, plan_text
from orchestrator.cli.reports import reporter_for
from orchestrator.cli.status import failures_text, trial_statuses
from orchestrator.launches import check_name_is_free
from orchestrator.progress import SweepView, make_view
from orchestrator.sweep import RunOptions, SweepOutcome, run_sweep, sweep_folder
from orchestrator.trial_state import is_done

ASK_FROM_SECONDS = 1800.0
"""A launch predicted to take longer than this asks first, where somebody can answer."""


@click.command()
@takes_selection
@takes_places("data_root", "runs_root", "results_root", "tracking_uri")
@takes_how
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `fsl plan` does.")
@click.option("--replace", is_flag=True, help="Take over the name, and the place of the table, from another sweep of this name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a long run.")
def run(selection: Selection, given: Given, how: HowToRun, dry_run: bool, replace: bool, yes: bool) -> None:
    """Compute the trials that a sweep lacks, and print its table. Run it again to go on where it stopped.

    The first Ctrl-C writes checkpoints and stops, a second one stops at once. Nothing finished is computed twice.
    """
    if dry_run:
        opened = open_sweep(selection, given)
        click.echo(plan_text(opened, forecast(opened)))
        return
    view = make_view(Console(stderr=True))
    cluster = reach_cluster(how)  # first: a stale address must not wait for images
    opened = open_sweep(selection, given, has_data=lambda spec, places: can_have_images(spec, places, _tell))
    opened.store.check_writable()
    if not replace:
        check_name_is_free(sweep_folder(opened.places.runs_root, opened.plan), opened.plan)
    if any(not is_done(trial, opened.records[trial.fingerprint]) for trial in opened.plan.trials):
        view.phase("the images are being looked at")
        prepare_images(opened.plan, opened.places, _tell)
    view.phase("the time that it takes is being predicted")
    device = choose_device(how, cluster)
    expected = forecast(opened, device=device, cluster=cluster, max_concurrent=how.max_concurrent)
    if not yes:
        _ask(expected)
    outcome = _launched(opened, how, device, expected, view, replace=replace)
    _tell_the_end(opened, outcome)
    raise SystemExit(exit_code(outcome))


def _tell(message: str) -> None:
    click.echo(message, err=True)


def _ask(expected: Forecast) -> None:
    if expected.total_seconds > ASK_FROM_SECONDS and sys.stdin.isatty():
        click.confirm(f"This takes about {duration_text(expected.total_seconds)}. Go on?", default=True, abort=True, err=True)


def _launched(
    opened: OpenedSweep, how: HowToRun, device: str, expected: Forecast, view: SweepView, *, replace: bool
) -> SweepOutcome:
    places = opened.places
    tracker = make_tracker(places, view.notice)
    options = RunOptions(
        runs_root=places.runs_root,
        data_root=places.data_root,
        cache_root=places.cache_root,
        device=device,
        gpus=GPU_SHARE if device == "cuda" else 0.0,
        command=shlex.join(["fsl", *map(places.tracking.redact, sys.argv[1:])]),
        replace=replace,
    )
    return run_sweep(
        opened.plan,
        options,
        executor=make_executor(how, opened.plan, places),
        tracker=tracker,
        view=view,
        reporter=reporter_for(opened, tracker.run_ids, replace=replace),
        predicted_seconds=lambda trial: expected.seconds[trial.fingerprint],
    )


def _tell_the_end(opened: OpenedSweep, outcome: SweepOutcome) -> None:
    """The table on stdout; what went wrong and where everything lies on stderr."""
    text = next((path for path in outcome.files if path.name == "table.txt"), None)
    if text is not None:
        click.echo(text.read_text().rstrip("\n"))
    if outcome.failed:
        fresh = OpenedSweep(opened.plan, opened.places, opened.store)
        _tell("\n" + failures_text(trial_statuses(fresh), fresh))
    if outcome.broken is not None:
        _tell(f"incomplete: {outcome.broken}")
    elif outcome.interrupted:
        _tell("stopped; the same command resumes")
    folders = dict.fromkeys(path.parent for path in outcome.files)
    _tell("\n".join(f"table and exports: {folder}" for folder in folders))
    _tell(f"trials: {opened.store.trials}")
    _tell(f"runs in MLflow: {opened.command('ui', '--experiment', opened.plan.spec.name)}")


def exit_code(outcome: SweepOutcome) -> ExitCode:
    """What a launch that ended so exits with."""
    if outcome.complete:
        return ExitCode.COMPLETE
    return ExitCode.TRIAL_FAILED if outcome.failed and not outcome.interrupted else ExitCode.INCOMPLETE
