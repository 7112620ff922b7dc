"""A launch from its beginning: the cluster is reached, images are prepared, the time is predicted, the driver runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import TrackingError
from orchestrator.execution.messages import Cluster
from orchestrator.launch.driver import Reporter, SweepOutcome, run_sweep, sweep_folder
from orchestrator.launch.execution_options import Device, ExecutionOptions, choose_device, make_executor, reach_cluster
from orchestrator.launch.forecast import Forecast, done_trials
from orchestrator.launch.forecasting import ProbingOptions, forecast
from orchestrator.launch.images import check_own_images, images_are_here, prepare_images
from orchestrator.launch.jobs import LaunchOptions
from orchestrator.launch.launches import check_name_is_free
from orchestrator.launch.precisions import reject_missing_precision
from orchestrator.launch.report_writer import reporter_for
from orchestrator.launch.seeds_together import check_seeds_together, seeds_together
from orchestrator.launch.sweep_view import LineView, SweepView
from orchestrator.launch.tracked_runs import keep_run_ids
from orchestrator.launch.trackers import launch_tracker
from orchestrator.launch.workspace import Sweep, Workspace
from orchestrator.records.driver_lock import refuse_running
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.plan import Plan
from orchestrator.tracking.catalogue import TRACKERS

if TYPE_CHECKING:
    from fsl_core.training.execution_path import ExecutionPath


def _ignore(value: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class LaunchHooks:
    """What is called at the turns of a launch.

    Attributes:
        view: shows the trials while they run; None writes a line for each event to the sweep's notices.
        predicted: takes the forecast before anything is computed. What it raises ends the launch.
        table: takes the table as text once its files are written, before the tracker is waited for.
    """

    view: SweepView | None = None
    predicted: Callable[[Forecast], None] = _ignore
    table: Callable[[str], None] = _ignore


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """What a user asks of a launch.

    Attributes:
        execution: who runs the trials, and on what.
        probing: how their time is predicted.
        tracker: what shows the trials meanwhile.
        replace: the sweep takes its name, and the place of its table, over from another sweep of this name.
        command: the command line, for the record.

    Raises:
        TrackingError: there is no tracker of that name.
    """

    execution: ExecutionOptions
    probing: ProbingOptions
    tracker: str = "mlflow"
    replace: bool = False
    command: str | None = None

    def __post_init__(self) -> None:
        if self.tracker not in TRACKERS:
            raise TrackingError(f"{self.tracker!r} is no tracker; accepted: {', '.join(TRACKERS)}")


def launch(sweep: Sweep, request: LaunchRequest, hooks: LaunchHooks) -> tuple[Workspace, SweepOutcome]:
    """Compute what a sweep lacks; launched again, it resumes.

    Raises:
        FslError, OrchestratorError: nothing was started. A failed trial is no error, but stands in the outcome.
    """
    view = hooks.view or LineView(sweep.callbacks.notice)
    if request.execution.cluster_address:
        view.phase(f"the Ray cluster at {request.execution.cluster_address} is being reached")
    cluster = reach_cluster(request.execution)  # first: nothing that is refused must wait for images
    device = choose_device(request.execution, cluster)
    path = _given_path(request.execution, device)
    check_seeds_together(request.execution, path, device)
    workspace = sweep.open_for_launch()
    workspace.store.check_writable()
    folder = sweep_folder(workspace.places.runs_root, workspace.plan)
    refuse_running(folder)  # now: the driver takes the lock once all is downloaded, timed and verified
    if not request.replace:
        check_name_is_free(folder, workspace.plan)
    expected = _forecast(workspace, request, device, cluster, view=view)
    hooks.predicted(expected)
    if expected.left:
        _prepare(workspace, view)
    else:
        check_own_images(workspace.plan, workspace.records, workspace.places, workspace.callbacks)
    return workspace, _run(workspace, request, expected, path, view=view, table=hooks.table)


def _given_path(options: ExecutionOptions, device: Device) -> ExecutionPath | None:
    if options.path is None:
        return None
    from fsl_core.training.given_path import given_path  # only here: it imports torch

    return given_path(options.path, device=device, threads=options.threads)


def _forecast(
    workspace: Workspace, request: LaunchRequest, device: Device, cluster: Cluster | None, *, view: SweepView
) -> Forecast:
    """What the launch takes. What its trials cannot have is found missing before anything is timed or asked."""
    reject_missing_precision(workspace.plan, workspace.records, device)
    todo = len(done_trials(workspace.plan, workspace.records)) < len(workspace.plan.trials)
    if todo and not images_are_here(workspace.plan.spec, workspace.places):
        _prepare(workspace, view)
    view.phase("predicting the duration")
    return forecast(workspace, device=device, options=request.execution, cluster=cluster, probing=request.probing)


def _prepare(workspace: Workspace, view: SweepView) -> None:
    view.phase("checking the images")
    prepare_images(workspace.plan, workspace.records, workspace.places, workspace.callbacks)


def _run(
    workspace: Workspace,
    request: LaunchRequest,
    expected: Forecast,
    path: ExecutionPath | None,
    *,
    view: SweepView,
    table: Callable[[str], None],
) -> SweepOutcome:
    plan, places, compute = workspace.plan, workspace.places, expected.compute
    tracker = launch_tracker(request.tracker, places, view.notice)
    options = LaunchOptions(
        places=places,
        compute=compute,
        path=path,
        seeds_together=seeds_together(request.execution, path, expected, plan),
        command=request.command,
        replace=request.replace,
    )
    outcome = run_sweep(
        plan,
        options,
        executor=make_executor(request.execution, compute, plan, places),
        tracker=tracker,
        view=view,
        reporter=_showing(reporter_for(workspace, tracker.run_ids, replace=request.replace), table),
        expected=expected,
    )
    keep_run_ids(workspace, tracker.run_ids())
    return outcome


def _showing(reporter: Reporter, table: Callable[[str], None]) -> Reporter:
    """The same reporter, whose table is shown at once: the tracker is waited for afterwards."""

    def report(plan: Plan, records: Mapping[str, TrialRecord], complete: bool) -> tuple[Sequence[Path], str]:
        files, markdown = reporter(plan, records, complete)
        text = next((path for path in files if path.name == "table.txt"), None)
        if text is not None:
            table(text.read_text(encoding="utf-8"))
        return files, markdown

    return report
