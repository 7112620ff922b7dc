"""``fsl run``: compute what a sweep lacks, and print its table."""

from __future__ import annotations

import os
import shlex
import sys
from functools import partial

import click
from rich.console import Console

from orchestrator.api.planning import plan_as_asked
from orchestrator.api.running import SweepRun, run_as_asked
from orchestrator.api.statuses import status
from orchestrator.cli.execution_flags import execution_options, probing_options
from orchestrator.cli.exit_codes import ExitCode
from orchestrator.cli.options import echo_notice, sweep_options
from orchestrator.cli.plan_text import answer_text, plan_text
from orchestrator.cli.status import failures_text
from orchestrator.cli.times_text import times_text
from orchestrator.launch.driver import SweepOutcome
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.forecasting import ProbingOptions
from orchestrator.launch.fsl_command import fsl_command
from orchestrator.launch.launching import LaunchHooks, LaunchRequest
from orchestrator.launch.sweep_view import make_view
from orchestrator.launch.workspace import Sweep
from orchestrator.process.signals import interrupted_by_signals
from orchestrator.process.terminal import leave_refused_stdout
from orchestrator.tracking.catalogue import TRACKERS


@click.command()
@sweep_options("data_root", "runs_root", "results_root", "tracking_uri")
@execution_options
@probing_options
@click.option("--tracker", type=click.Choice(tuple(TRACKERS)), default="mlflow", show_default=True, help="What shows the trials.")
@click.option("--no-tracking", is_flag=True, help="The same as --tracker none.")
@click.option("--dry-run", is_flag=True, help="Only show the plan, as `fsl plan` does.")
@click.option("--replace", is_flag=True, help="Take over the name, and the place of the table, from another sweep of this name.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a long run.")
def run(
    sweep: Sweep,
    execution: ExecutionOptions,
    probing: ProbingOptions,
    *,
    tracker: str,
    no_tracking: bool,
    dry_run: bool,
    replace: bool,
    yes: bool,
) -> None:
    """Compute the trials that a sweep lacks, and print its table. Run it again to resume.

    The first Ctrl-C writes checkpoints and stops, a second one stops at once. Nothing finished is computed twice.
    """
    if no_tracking and tracker not in ("mlflow", "none"):
        raise click.UsageError(f"--tracker {tracker} and --no-tracking exclude each other")
    if dry_run:
        click.echo(plan_text(plan_as_asked(sweep, execution, probing)))
        return
    with interrupted_by_signals():
        done = _run(sweep, execution, probing, tracker="none" if no_tracking else tracker, replace=replace, ask=not yes)
        _tell_the_end(done, tracked=tracker == "mlflow" and not no_tracking)
    raise SystemExit(exit_code(done.outcome))


def _run(
    sweep: Sweep, execution: ExecutionOptions, probing: ProbingOptions, *, tracker: str, replace: bool, ask: bool
) -> SweepRun:
    request = LaunchRequest(
        execution=execution,
        probing=probing,
        tracker=tracker,
        replace=replace,
        command=shlex.join(["fsl", *map(sweep.places.tracking.redact, sys.argv[1:])]),
    )
    hooks = LaunchHooks(view=make_view(Console(stderr=True)), predicted=partial(_predicted, ask=ask), table=_echo)
    return run_as_asked(sweep, request, hooks)


def _predicted(expected: Forecast, *, ask: bool) -> None:
    """Print what is predicted, and ask before much of it."""
    if expected.left:
        echo_notice(f"predicted: {answer_text(expected)}")
    if not (ask and expected.asks_first and somebody_can_answer()):
        return
    if not click.confirm("Continue?", default=True, err=True):
        echo_notice("nothing was started")
        raise SystemExit(ExitCode.INCOMPLETE)


def somebody_can_answer() -> bool:
    """Whether the command has a terminal and is in its foreground: in the background a question would only suspend it."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _echo(table: str) -> None:
    """Print the table. That nobody reads it is no fault of its files, which MLflow is still to get."""
    try:
        click.echo(table.rstrip("\n"))
    except OSError as error:
        leave_refused_stdout()
        echo_notice(f"the table could not be printed ({error.strerror})")


def _tell_the_end(done: SweepRun, *, tracked: bool) -> None:
    """What went wrong and where everything lies, on stderr; the table on stdout where its files could not be written."""
    outcome, places = done.outcome, done.workspace.places
    if outcome.unwritten is not None:
        _echo(done.table().text())
        echo_notice(
            f"the table's files could not be written ({outcome.unwritten}); once that is mended, the same command writes them"
        )
    if outcome.failed:
        echo_notice("\n" + failures_text(status(done.workspace)))
    if outcome.broken is not None:
        echo_notice(f"incomplete: {outcome.broken}")
    elif outcome.interrupted:
        echo_notice("stopped; the same command resumes")
    if outcome.times is not None:
        echo_notice(f"this launch: {times_text(outcome.times)}")
    for folder in dict.fromkeys(path.parent for path in outcome.files):
        echo_notice(f"table and exports: {folder}")
    echo_notice(f"trials: {done.workspace.store.trials}")
    if tracked:
        set_first = " (the variable has to hold the address)" if places.tracking.has_secret else ""
        echo_notice(f"runs in MLflow: {fsl_command(places, 'ui', '--experiment', done.workspace.plan.spec.name)}{set_first}")


def exit_code(outcome: SweepOutcome) -> ExitCode:
    """What a launch that ended so exits with."""
    if outcome.complete:
        return ExitCode.COMPLETE if outcome.unwritten is None else ExitCode.INCOMPLETE
    return ExitCode.TRIAL_FAILED if outcome.failed and not outcome.interrupted else ExitCode.INCOMPLETE
