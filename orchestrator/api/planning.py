"""``fsl.plan``: what a sweep is, what of it is done, and what the rest takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.api.inherited import ray_address
from orchestrator.api.loading import SweepLike, workspace_of
from orchestrator.counted import counted
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.execution_options import ExecutionOptions, reach_cluster, wanted_device
from orchestrator.launch.forecast import Forecast
from orchestrator.launch.forecasting import ProbingOptions, forecast
from orchestrator.launch.images import unprepared_images
from orchestrator.launch.launches import name_problem
from orchestrator.launch.report_writer import registries_for
from orchestrator.launch.workspace import Workspace
from orchestrator.report.identifiers import identifier
from orchestrator.report.reach import Reach, reaches

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class PlannedSweep:
    """A plan and its forecast.

    Attributes:
        workspace: the cells and trials (``workspace.plan``), and what is known of them.
        forecast: the seconds, memory and disk of each trial, and of all that is left.
        unprepared: the images that are not prepared yet, where something is left to do.
        reach: which verdicts the cells can get against their published numbers.
    """

    workspace: Workspace
    forecast: Forecast
    unprepared: tuple[DataSettings, ...]
    reach: tuple[Reach, ...]

    def frame(self) -> pd.DataFrame:
        """A row for each trial: its id, name, state and likely seconds, whole and left; NaN where they are unknown."""
        import pandas as pd

        rows = []
        for trial in self.workspace.plan.trials:
            whole, left = (getattr(self.forecast.predictions[trial.fingerprint], part) for part in ("whole", "left"))
            rows.append(
                {
                    "trial_id": identifier("trial_id", trial.fingerprint),
                    "name": trial.name,
                    "cells": len(trial.cells),
                    "state": self.workspace.state(trial),
                    "seconds": whole.likely if whole else None,
                    "seconds_left": left.likely if left else None,
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        plan, left = self.workspace.plan, len(self.forecast.left)
        return f"<plan of {plan.spec.name}: {counted(len(plan.cells), 'cell')}, {counted(len(plan.trials), 'trial')}, {left:,} to do>"


def plan(
    sweep: SweepLike,
    *,
    executor: str = "ray",
    address: str | None = None,
    max_concurrent: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 1,
    gpus_per_trial: float | None = None,
    probe: bool = True,
    fresh: bool = False,
) -> PlannedSweep:
    """Plan a sweep: its cells, what is done, and how long the rest takes. No image is prepared or downloaded.

    Args:
        sweep: the name or the path of a sweep file, or what :func:`load` returns.
        executor: ``ray``, or ``in-process``: one trial after another.
        address: a Ray cluster's, ``host:port`` or ``auto``; else RAY_ADDRESS, else, as for ``local``, this machine.
        max_concurrent: the most trials at once; None leaves it to the sweep file and the machines.
        device: ``auto`` is CUDA where there is some; another machine's device may be asked about.
        threads: CPU threads of each trial, and its CPUs.
        gpus_per_trial: a part of one GPU, or whole GPUs; None: by measured memory.
        probe: whether steps of trials that never ran here are timed, for half a minute at most.
        fresh: whether the forecast leaves earlier trials and probes aside.

    Returns:
        The plan and its forecast.

    Raises:
        SweepFileError: the sweep file is wrong.
        ExecutionPathError: no trial can take what is asked for each.
        ExecutorError: no cluster answers at the address.

    Example:
        >>> planned = fsl.plan("quick", probe=False)
        >>> planned.frame()["state"].value_counts()  # doctest: +SKIP
    """
    options = ExecutionOptions(
        executor=executor,
        address=ray_address(address),
        max_concurrent=max_concurrent,
        device=device,
        threads=threads,
        gpus_per_trial=gpus_per_trial,
    )
    return plan_as_asked(sweep, options, ProbingOptions(no_probe=not probe, fresh=fresh))


def plan_as_asked(sweep: SweepLike, options: ExecutionOptions, probing: ProbingOptions) -> PlannedSweep:
    """The plan of :func:`plan`, of options that are values already."""
    workspace = workspace_of(sweep)
    if problem := name_problem(sweep_folder(workspace.places.runs_root, workspace.plan), workspace.plan):
        workspace.callbacks.notice(f"fsl run will refuse this sweep: {problem}")
    cluster = reach_cluster(options)
    expected = forecast(workspace, device=wanted_device(options, cluster), options=options, cluster=cluster, probing=probing)
    return PlannedSweep(
        workspace=workspace,
        forecast=expected,
        unprepared=unprepared_images(workspace.plan.spec, workspace.places) if expected.left else (),
        reach=tuple(reaches(workspace.plan, registries_for(workspace))),
    )
