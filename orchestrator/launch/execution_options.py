"""Who runs the trials, and on what: what a user asks for, and what that comes to here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsl_core.errors import ExecutionPathError
from fsl_core.training.arithmetic import refuse_other_arithmetic
from orchestrator.errors import ExecutorError
from orchestrator.execution.catalogue import EXECUTORS, ExecutorKind, ExecutorRequest
from orchestrator.execution.compute import Compute
from orchestrator.execution.executor import Executor
from orchestrator.execution.messages import Cluster
from orchestrator.execution.ray_address import given_address
from orchestrator.launch.driver import sweep_folder
from orchestrator.launch.places import Places
from orchestrator.sweep.plan import Plan

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """What a user asks for.

    Attributes:
        executor: the name of an executor: ``ray``, ``in-process``, which runs one trial after another in this process, or a plug-in's.
        address: a Ray cluster's, ``host:port`` or ``auto``; None or ``local`` starts a Ray on this machine.
        max_concurrent: the most trials at once, seeds that train together counted once; None: the sweep file and the machines decide.
        device: ``auto`` is CUDA where there is some.
        threads: of one trial on the CPU, and the CPUs that it takes.
        gpus_per_trial: a part of one GPU, or whole GPUs; None: by measured memory.
        path: a file with the execution path of trials that have none yet; None has the fastest measured.
        seeds_together: the most seeds of a recipe that one process trains on CUDA; None: as many as never delay the sweep.
    """

    executor: str = "ray"
    address: str | None = None
    max_concurrent: int | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    gpus_per_trial: float | None = None
    path: Path | None = None
    seeds_together: int | None = None

    def __post_init__(self) -> None:
        if self.executor not in EXECUTORS:
            raise ExecutorError(f"{self.executor!r} is no executor; accepted: {', '.join(EXECUTORS)}")
        if self.seeds_together is not None and self.seeds_together < 1:
            raise ExecutionPathError(f"seeds_together is {self.seeds_together}; it must be at least 1")

    @property
    def kind(self) -> ExecutorKind:
        """The executor that is asked for."""
        return EXECUTORS[self.executor]

    @property
    def cluster_address(self) -> str | None:
        """The address of the cluster to join; None where trials run on this machine."""
        return given_address(self.address) if self.kind.joins_clusters else None

    def compute(self, device: Device, plan: Plan) -> Compute:
        """What the trials of a plan compute on. Raises ExecutionPathError where no trial can take that."""
        most = 1 if self.kind.one_at_a_time else self.max_concurrent or plan.spec.max_concurrent
        return Compute.on(device, threads=self.threads, gpus=self.gpus_per_trial, at_once=most)


def reach_cluster(options: ExecutionOptions) -> Cluster | None:
    """What the cluster has that is asked for; None without one.

    Raises:
        ExecutorError: no cluster answers there.
    """
    if options.cluster_address is None:
        return None
    from orchestrator.execution.cluster import describe_cluster

    return describe_cluster(options.cluster_address)


def choose_device(options: ExecutionOptions, cluster: Cluster | None) -> Device:
    """The device that trials run on; see :func:`wanted_device`.

    Raises:
        ExecutionPathError: CUDA is asked for on this machine, which has none.
        ExecutorError: CUDA is asked for on a cluster without GPUs.
    """
    device = wanted_device(options, cluster)
    if cluster is None:
        _check_here(device)
    return device


def _check_here(device: Device) -> None:
    """Raises ExecutionPathError unless this machine has the device and computes in full float32."""
    refuse_other_arithmetic()
    if device == "cuda":  # the import of torch takes a second, which a finished sweep on a CPU needs for nothing else
        from fsl_core.training.execution_path import ExecutionPath

        ExecutionPath(device=device).check_available()


def wanted_device(options: ExecutionOptions, cluster: Cluster | None) -> Device:
    """The device that is asked for, be it here or not, or what ``auto`` stands for: what the cluster has, else this machine.

    Raises:
        ExecutorError: CUDA is asked for on a cluster without GPUs.
    """
    if options.device == "cpu":
        return "cpu"
    if cluster is not None:
        if options.device == "cuda" and not cluster.gpus:
            raise ExecutorError(f"device is 'cuda', but the Ray cluster at {options.cluster_address} has no GPU")
        return "cuda" if cluster.gpus else "cpu"
    if options.device == "cuda":
        return "cuda"
    from orchestrator.execution.machine import cuda_is_here

    return "cuda" if cuda_is_here() else "cpu"


def make_executor(options: ExecutionOptions, compute: Compute, plan: Plan, places: Places) -> Executor:
    """The executor that is asked for."""
    storage = sweep_folder(places.runs_root, plan) / options.executor
    return options.kind.build(ExecutorRequest(storage=storage, address=options.cluster_address, at_once=compute.at_once))
