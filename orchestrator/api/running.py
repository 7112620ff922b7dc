"""``fsl.run``: computes what a sweep lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.api.inherited import ray_address, settled_environment
from orchestrator.api.loading import Folder, sweep_of
from orchestrator.api.tables import Table, table
from orchestrator.counted import counted
from orchestrator.errors import TrackingError
from orchestrator.launch.driver import SweepOutcome
from orchestrator.launch.execution_options import ExecutionOptions
from orchestrator.launch.forecasting import ProbingOptions
from orchestrator.launch.launching import LaunchHooks, LaunchRequest, launch
from orchestrator.launch.workspace import Sweep, Workspace
from orchestrator.sweep.tracking_address import problem_with


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepRun:
    """How a launch ended.

    Attributes:
        workspace: the sweep and its records, as they are after the launch.
        outcome: what was computed, what failed, the files of the table.
    """

    workspace: Workspace
    outcome: SweepOutcome

    @property
    def complete(self) -> bool:
        """Whether every trial is done."""
        return self.outcome.complete

    def table(self) -> Table:
        """The table, complete or not."""
        return table(self.workspace)

    def __repr__(self) -> str:
        how = "complete" if self.complete else "interrupted" if self.outcome.interrupted else "incomplete"
        computed, failed = len(self.outcome.computed), len(self.outcome.failed)
        return f"<run of {self.workspace.plan.spec.name}: {how}, {counted(computed, 'trial')} computed, {failed:,} failed>"


def run(
    sweep: str | Path | Sweep,
    *,
    executor: str = "ray",
    address: str | None = None,
    max_concurrent: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 1,
    gpus_per_trial: float | None = None,
    path: Folder | None = None,
    seeds_together: int | None = None,
    probe: bool = True,
    fresh: bool = False,
    tracker: str = "mlflow",
    replace: bool = False,
    hooks: LaunchHooks | None = None,
    command: str | None = None,
) -> SweepRun:
    """Compute the trials that a sweep lacks, and write its table. Called again, it resumes; nothing finished is computed twice.

    The first Ctrl-C writes checkpoints and stops, a second one raises KeyboardInterrupt at once.

    Args:
        sweep: the name or the path of a sweep file, or what :func:`load` returns.
        executor: ``ray``, or ``in-process``: one trial after another in this process.
        address: a Ray cluster's, ``host:port`` or ``auto``; else RAY_ADDRESS; else, as for ``local``, a Ray is started on this machine.
        max_concurrent: the most trials at once; None leaves it to the sweep file and the machines.
        device: ``auto`` is CUDA where there is some.
        threads: CPU threads of each trial, and its CPUs.
        gpus_per_trial: a part of one GPU, or whole GPUs; None: by measured memory.
        path: a file with the execution path of trials that have none yet; None has the fastest measured.
        seeds_together: the most seeds of a recipe that one process trains on CUDA; None: as many as never delay the sweep.
        probe: whether steps of trials that never ran here are timed, to run the longest trials first.
        fresh: whether the forecast leaves earlier trials and probes aside.
        tracker: the name of a tracker: ``mlflow``, ``none``, or a plug-in's.
        replace: whether the sweep takes over the name, and the place of its table, from another sweep of this name.
        hooks: what is called at the turns of the launch; None writes its events to the sweep's notices.
        command: the command line, for the record.

    Returns:
        How it ended: complete or not, which trials failed, where the table is. A failed trial is no error.

    Raises:
        SweepFileError: the sweep file is wrong.
        SweepLockedError: another process runs this sweep.
        SweepNameError: the name is another sweep's here.
        ExecutorError: no cluster answers at the address.
        ExecutionPathError: the device, or what each trial takes, is not there.
        DataError: the images cannot be had.
        FolderError, StoreError: a folder cannot be written to.
        InheritedError: an environment variable would falsify results.
        TrackingError: the address of the tracking store is none.

    Example:
        >>> done = fsl.run("quick", executor="in-process")  # doctest: +SKIP
        >>> print(done.table().text())  # doctest: +SKIP
    """
    request = LaunchRequest(
        execution=ExecutionOptions(
            executor=executor,
            address=ray_address(address),
            max_concurrent=max_concurrent,
            device=device,
            threads=threads,
            gpus_per_trial=gpus_per_trial,
            path=None if path is None else Path(path),
            seeds_together=seeds_together,
        ),
        probing=ProbingOptions(no_probe=not probe, fresh=fresh),
        tracker=tracker,
        replace=replace,
        command=command,
    )
    return run_as_asked(sweep_of(sweep), request, hooks)


def run_as_asked(sweep: Sweep, request: LaunchRequest, hooks: LaunchHooks | None = None) -> SweepRun:
    """The launch of :func:`run`, of a request that is a value already."""
    problem = None if request.tracker == "none" else problem_with(sweep.places.tracking.whole)
    if problem:
        raise TrackingError(f"tracking_uri: {problem}")
    with settled_environment():
        workspace, outcome = launch(sweep, request, hooks or LaunchHooks())
    return SweepRun(workspace=workspace.anew(), outcome=outcome)
