"""Predicts what a sweep takes: which probes are wanted, and a forecast of a workspace."""

from __future__ import annotations

from dataclasses import dataclass

from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.execution.compute import Compute
from orchestrator.execution.messages import Cluster
from orchestrator.launch.execution_options import Device, ExecutionOptions
from orchestrator.launch.forecast import IN_PROCESS_START, RAY_START, Forecast
from orchestrator.launch.known_costs import KnownCosts
from orchestrator.launch.probing import Measure
from orchestrator.launch.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class ProbingOptions:
    """Whether steps are timed for a prediction, and whether what is known already is left aside."""

    no_probe: bool = False
    fresh: bool = False


def forecast(
    workspace: Workspace, *, device: Device, options: ExecutionOptions, cluster: Cluster | None, probing: ProbingOptions
) -> Forecast:
    """What a sweep takes, run in that way; each trial as fast as on this machine, also where a cluster runs them.

    Raises:
        ExecutionPathError: no trial can take what is asked for each, or this machine does not have that.
    """
    from orchestrator.execution.machine import concurrent_trials, this_machine

    compute, machine = options.compute(device, workspace.plan), this_machine(device, threads=options.threads)
    costs = KnownCosts(
        store=workspace.store,
        machine=machine,
        measure=None if probing.no_probe or machine.device_name is None else _measure_on(compute),
        fresh=probing.fresh,
        notice=workspace.callbacks.notice,
        shown_progress=workspace.callbacks.progress,
    )
    alone = options.kind.one_at_a_time
    return costs.forecast(
        workspace.plan,
        workspace.records,
        slots=1 if alone else concurrent_trials(compute, None if cluster is None else cluster.nodes),
        start=IN_PROCESS_START if alone else RAY_START,
        compute=compute,
        on_cluster=cluster is not None,
    )


def _measure_on(compute: Compute) -> Measure:
    def measure(work: UnitWork) -> Timing:
        from fsl_core.training.probe import measure

        return measure(work, device=compute.device, threads=compute.threads)

    return measure
