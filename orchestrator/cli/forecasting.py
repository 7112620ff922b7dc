"""What ``fsl plan`` and ``fsl run`` predict with: the options about probes, and how a forecast is made of a sweep that was opened."""

from __future__ import annotations

from dataclasses import dataclass

import click

from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.cli.launch import Device, HowToRun, share_of_a_trial, shown_progress
from orchestrator.cli.opened import OpenedSweep
from orchestrator.cli.options import Command, gathered
from orchestrator.execution.messages import Cluster
from orchestrator.launch.forecast import IN_PROCESS_START, RAY_START, Forecast
from orchestrator.launch.known_costs import KnownCosts


@dataclass(frozen=True, kw_only=True)
class Probing:
    """Whether steps are timed for a prediction, and whether what is known already is left aside."""

    no_probe: bool = False
    fresh: bool = False


_PROBING = (
    click.option("--no-probe", is_flag=True, help="Time nothing: what never ran here stays unknown."),
    click.option("--fresh", is_flag=True, help="Predict by new probes alone, not by earlier trials and remembered probes."),
)


def takes_probing(command: Command) -> Command:
    """Give a command the options of :class:`Probing`, as its argument ``probing``."""
    return gathered("probing", Probing, _PROBING)(command)


def forecast(opened: OpenedSweep, *, device: Device, how: HowToRun, cluster: Cluster | None, probing: Probing) -> Forecast:
    """What a sweep takes, run in that way; each trial as fast as on this machine, also where a cluster runs them.

    Raises:
        ExecutionPathError: no trial can take what is asked for each, or this machine does not have that.
    """
    from orchestrator.execution.machine import slots_there, this_machine

    def measure(work: UnitWork) -> Timing:
        from fsl_core.training.probe import measure

        return measure(work, device=device, threads=how.threads)

    share, machine = share_of_a_trial(how, device), this_machine(device, threads=how.threads)
    costs = KnownCosts(
        store=opened.store,
        machine=machine,
        measure=None if probing.no_probe or machine.device_name is None else measure,
        fresh=probing.fresh,
        announce=lambda message: click.echo(message, err=True),
        shown_progress=shown_progress,
    )
    in_process, most = how.executor == "in-process", how.max_concurrent or opened.plan.spec.max_concurrent
    return costs.forecast(
        opened.plan,
        opened.records,
        slots=1 if in_process else slots_there(share, None if cluster is None else cluster.nodes, most=most),
        start=IN_PROCESS_START if in_process else RAY_START,
        share=share,
        on_cluster=cluster is not None,
    )
