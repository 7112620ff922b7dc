"""Predicts what a sweep takes: which probes are wanted, and a forecast of a workspace."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fsl_core.recipe.seeds import groups_of_seeds
from fsl_core.training.timing import Timing
from fsl_core.training.unit_work import UnitWork
from orchestrator.execution.compute import Compute
from orchestrator.execution.job import CHOICES
from orchestrator.execution.messages import Cluster
from orchestrator.launch.cost import CostBook
from orchestrator.launch.execution_options import Device, ExecutionOptions
from orchestrator.launch.forecast import IN_PROCESS_START, RAY_START, Forecast, make_forecast
from orchestrator.launch.gpu_memory import gpu_share
from orchestrator.launch.known_costs import KnownCosts
from orchestrator.launch.path_choices import KnownPaths
from orchestrator.launch.probing import Measure
from orchestrator.launch.workspace import Workspace
from orchestrator.records.trial_state import is_done


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
    book = KnownCosts(
        store=workspace.store,
        machine=machine,
        measure=None if probing.no_probe or machine.device_name is None else _measure_on(compute),
        fresh=probing.fresh,
        notice=workspace.callbacks.notice,
        shown_progress=workspace.callbacks.progress,
    ).book(workspace.plan, workspace.records)
    alone = options.kind.one_at_a_time
    if device == "cuda" and options.gpus_per_trial is None and not alone:
        compute = replace(compute, gpus=_gpu_share(workspace, book, options, on_cluster=cluster is not None))
    return make_forecast(
        workspace.plan,
        workspace.records,
        book,
        slots=1 if alone else concurrent_trials(compute, None if cluster is None else cluster.nodes),
        start=IN_PROCESS_START if alone else RAY_START,
        compute=compute,
        on_cluster=cluster is not None,
        known=KnownPaths.read(workspace.store.runs_root / CHOICES, machine, given=options.path),
    )


def _gpu_share(workspace: Workspace, book: CostBook, options: ExecutionOptions, *, on_cluster: bool) -> float:
    """The share of a GPU that each trial reserves, after a notice where it is not measured."""
    from orchestrator.execution.machine import gpu_memory

    left = [trial for trial in workspace.plan.trials if not is_done(trial, workspace.records[trial.fingerprint])]
    peaks = [book.peaks.of_trial(trial.recipe, trial.evaluations) for trial in left]
    most = max((len(each) for each in groups_of_seeds(left, lambda trial: trial.recipe.without_seed)), default=1)
    found = gpu_share(
        peaks,
        None if on_cluster else gpu_memory(),
        seeds_together=lambda sharing: options.seeds_together or most,
    )
    if left and found.unmeasured:
        workspace.callbacks.notice(
            f"each trial reserves {found.share:g} of a GPU: {found.unmeasured}; --gpus-per-trial sets another share"
        )
    return found.share


def _measure_on(compute: Compute) -> Measure:
    def measure(work: UnitWork) -> Timing:
        from fsl_core.training.probe import measure

        return measure(work, device=compute.device, threads=compute.threads)

    return measure
