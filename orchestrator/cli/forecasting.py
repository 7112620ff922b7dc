"""What ``fsl plan`` and ``fsl run`` predict with: the options about probes, and how a forecast is made of a sweep that was opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from fsl_core.training.unit_work import UnitWork
from orchestrator.cli.launch import Device, HowToRun, shown_progress
from orchestrator.cli.opened import OpenedSweep
from orchestrator.cli.options import Command, gathered
from orchestrator.environment import usable_cpus
from orchestrator.execution.messages import Cluster
from orchestrator.forecast import IN_PROCESS_START, RAY_START, Forecast
from orchestrator.known_costs import KnownCosts
from orchestrator.slots import slots


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
    """What a sweep takes, run in that way; each trial as fast as on this machine, also where a cluster runs them."""
    from orchestrator.execution.machine import this_machine

    def measure(work: UnitWork) -> Sequence[float]:
        from fsl_core.training.probe import measure

        return measure(work, device=device)

    machine = this_machine(device)
    costs = KnownCosts(
        store=opened.store,
        machine=machine,
        measure=None if probing.no_probe or machine.device_name is None else measure,
        fresh=probing.fresh,
        announce=lambda message: click.echo(message, err=True),
        shown_progress=shown_progress,
    )
    in_process = how.executor == "in-process"
    return costs.forecast(
        opened.plan,
        opened.records,
        slots=1 if in_process else _slots(device, cluster, how.max_concurrent or opened.plan.spec.max_concurrent),
        start=IN_PROCESS_START if in_process else RAY_START,
        on_cluster=cluster is not None,
    )


def _slots(device: Device, cluster: Cluster | None, most: int | None) -> int:
    from orchestrator.execution.machine import gpu_count

    cpus = usable_cpus() if cluster is None else cluster.cpus
    if device != "cuda":
        return slots(cpus=cpus, gpus=None, most=most)
    return slots(cpus=cpus, gpus=gpu_count() if cluster is None else cluster.gpus, most=most)
