"""``fsl run``: compute what a sweep lacks, and print its table."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.forecasting import Probing, forecast, takes_probing
from orchestrator.cli.given_path import given_path
from orchestrator.cli.launch import (
    Device,
    HowToRun,
    can_have_images,
    choose_device,
    make_executor,
    prepare_images,
    reach_cluster,
    takes_how,
)
from orchestrator.cli.opened import OpenedSweep, data_is_here, open_sweep
from orchestrator.cli.options import Given, Selection, takes_places, takes_selection
from orchestrator.cli.plan import show_plan
from orchestrator.cli.plan_text import answer_text
from orchestrator.cli.reports import keep_run_ids, rendered_table, reporter_for
from orchestrator.cli.status import failures_text, trial_statuses
from orchestrator.cli.times_text import times_text
from orchestrator.cli.trackers import launch_tracker
from orchestrator.execution.messages import Cluster
from orchestrator.launch.driver import Reporter, RunOptions, SweepOutcome, run_sweep, sweep_folder
from orchestrator.launch.forecast import Forecast, done_trials
from orchestrator.launch.launches import check_name_is_free
from orchestrator.launch.precisions import refuse_precisions_not_had
from orchestrator.launch.sweep_view import SweepView, make_view
from orchestrator.process.signals import interrupted_by_signals
from orchestrator.process.terminal import leave_refused_stdout
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan


@click.command()
@takes_selection
@takes_places("data_root", "runs_root", "results_root", "tracking_uri")
@takes_how
@takes_probing
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `fsl plan` does.")
@click.option("--replace", is_flag=True, help="Take over the name, and the place of the table, from another sweep of this name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a long run.")
def run(selection: Selection, given: Given, how: HowToRun, probing: Probing, dry_run: bool, replace: bool, yes: bool) -> None:
    """Compute the trials that a sweep lacks, and print its table. Run it again to resume.

    The first Ctrl-C writes checkpoints and stops, a second one stops at once. Nothing finished is computed twice.
    """
    if dry_run:
        show_plan(open_sweep(selection, given), how, probing)
        return
    with interrupted_by_signals():
        _run(selection, given, how, probing, replace=replace, yes=yes)


def _run(selection: Selection, given: Given, how: HowToRun, probing: Probing, *, replace: bool, yes: bool) -> None:
    view = make_view(Console(stderr=True))
    if how.cluster_address and how.executor == "ray":
        view.phase(f"the Ray cluster at {how.cluster_address} is being reached")
    cluster = reach_cluster(how)  # first: a stale address must not wait for images
    opened = open_sweep(selection, given, has_data=lambda spec, places: can_have_images(spec, places, _tell))
    opened.store.check_writable()
    if not replace:
        check_name_is_free(sweep_folder(opened.places.runs_root, opened.plan), opened.plan)
    device, expected = _agreed(opened, how, cluster, probing, view, ask=not yes)
    outcome = _launched(opened, how, device, expected, view, replace=replace)
    _tell_the_end(opened, outcome)
    raise SystemExit(exit_code(outcome))


def _tell(message: str) -> None:
    click.echo(message, err=True)


def _agreed(
    opened: OpenedSweep, how: HowToRun, cluster: Cluster | None, probing: Probing, view: SweepView, *, ask: bool
) -> tuple[Device, Forecast]:
    """The device and the forecast of a launch that its user wants; the images are prepared by then."""
    device = choose_device(how, cluster)
    if how.path is not None:
        given_path(how.path, device=device, threads=how.threads)  # first: a wrong file must not wait for images
    refuse_precisions_not_had(opened.plan, opened.records, device)
    todo = len(done_trials(opened.plan, opened.records)) < len(opened.plan.trials)
    if todo and not data_is_here(opened.plan.spec, opened.places):  # what is missing is said before anything is timed or asked
        _prepare(opened, view)
    view.phase("the time that it takes is being predicted")
    expected = forecast(opened, device=device, how=how, cluster=cluster, probing=probing)
    if todo:
        _tell(f"predicted: {answer_text(expected)}")
    if ask:
        _ask(expected)
    if todo:
        _prepare(opened, view)
    return device, expected


def _prepare(opened: OpenedSweep, view: SweepView) -> None:
    view.phase("the images are being looked at")
    prepare_images(opened.plan, opened.places, _tell)


def _ask(expected: Forecast) -> None:
    if not (expected.asks_first and somebody_can_answer()):
        return
    if not click.confirm("Continue?", default=True, err=True):
        _tell("nothing was started")
        raise SystemExit(ExitCode.INCOMPLETE)


def somebody_can_answer() -> bool:
    """Whether the command has a terminal and is in its foreground: in the background a question would only suspend it."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _launched(
    opened: OpenedSweep, how: HowToRun, device: Device, expected: Forecast, view: SweepView, *, replace: bool
) -> SweepOutcome:
    places = opened.places
    path = None if how.path is None else given_path(how.path, device=device, threads=how.threads)
    tracker = launch_tracker(places, view.notice)
    options = RunOptions(
        runs_root=places.runs_root,
        data_root=places.data_root,
        cache_root=places.cache_root,
        device=device,
        threads=expected.share.cpus,
        gpus=expected.share.gpus,
        path=path,
        command=shlex.join(["fsl", *map(places.tracking.redact, sys.argv[1:])]),
        replace=replace,
    )
    outcome = run_sweep(
        opened.plan,
        options,
        executor=make_executor(how, opened.plan, places),
        tracker=tracker,
        view=view,
        reporter=_printing(reporter_for(opened, tracker.run_ids, replace=replace)),
        expected=expected,
    )
    keep_run_ids(opened, tracker.run_ids())
    return outcome


def _printing(reporter: Reporter) -> Reporter:
    """The same reporter, whose table is on stdout at once: MLflow is waited for afterwards."""

    def report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
        files, markdown = reporter(plan, records, complete)
        text = next((path for path in files if path.name == "table.txt"), None)
        if text is not None:
            _echo(text.read_text(encoding="utf-8").rstrip("\n"))
        return files, markdown

    return report


def _echo(table: str) -> None:
    """Print the table. That nobody reads it is no fault of its files, which MLflow is still to get."""
    try:
        click.echo(table)
    except OSError as error:
        leave_refused_stdout()
        _tell(f"the table could not be printed ({error.strerror})")


def _tell_the_end(opened: OpenedSweep, outcome: SweepOutcome) -> None:
    """What went wrong and where everything lies, on stderr; the table on stdout where its files could not be written."""
    fresh = OpenedSweep(opened.plan, opened.places, opened.store)
    if outcome.unwritten is not None:
        _echo(rendered_table(fresh, "text").rstrip("\n"))
        _tell(f"the table's files could not be written ({outcome.unwritten}); once that is mended, the same command writes them")
    if outcome.failed:
        _tell("\n" + failures_text(trial_statuses(fresh), fresh))
    if outcome.broken is not None:
        _tell(f"incomplete: {outcome.broken}")
    elif outcome.interrupted:
        _tell("stopped; the same command resumes")
    if outcome.times is not None:
        _tell(f"this launch: {times_text(outcome.times)}")
    folders = dict.fromkeys(path.parent for path in outcome.files)
    for folder in folders:
        _tell(f"table and exports: {folder}")
    _tell(f"trials: {opened.store.trials}")
    set_first = " (the variable has to hold the address)" if opened.places.tracking.has_secret else ""
    _tell(f"runs in MLflow: {opened.command('ui', '--experiment', opened.plan.spec.name)}{set_first}")


def exit_code(outcome: SweepOutcome) -> ExitCode:
    """What a launch that ended so exits with."""
    if outcome.complete:
        return ExitCode.COMPLETE if outcome.unwritten is None else ExitCode.INCOMPLETE
    return ExitCode.TRIAL_FAILED if outcome.failed and not outcome.interrupted else ExitCode.INCOMPLETE
